import { query, v } from "@pylonsync/functions";

export default query({
  args: { text: v.string(), count: v.optional(v.int()) },
  handler: (ctx, args) => ({ ...args, userId: ctx.auth.userId }),
});
