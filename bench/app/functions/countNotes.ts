import { query, v } from "@pylonsync/functions";

export default query({
  args: { count: v.int() },
  handler: async (ctx, { count }) => ({ count: await ctx.db.count("Note", { count }) }),
});
