import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { count: v.int() },
  async handler(ctx, { count }) {
    for (let index = 0; index < count; index += 1) await ctx.scheduler.runAfter(0, "later");
  },
});
