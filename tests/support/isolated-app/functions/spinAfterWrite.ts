import { mutation } from "@pylonsync/functions";

export default mutation({
  args: {},
  isolate: true,
  handler: async (ctx) => {
    await ctx.db.insert("Item", { n: 900 });
    for (;;);
  },
});
