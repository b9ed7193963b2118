import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: {
    count: v.int(),
    name: v.union(v.literal("later"), v.literal("laterNote")),
    queue: v.string(),
  },
  async handler(ctx, { count, name, queue }) {
    let last = "";
    for (let index = 0; index < count; index += 1)
      last = await ctx.scheduler.runAfter(0, name, {}, { queue });
    return last;
  },
});
