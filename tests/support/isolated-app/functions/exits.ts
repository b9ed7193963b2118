import { mutation } from "@pylonsync/functions";

export default mutation({
  args: {},
  isolate: true,
  handler: async (ctx): Promise<null> => {
    await ctx.db.insert("Item", { n: 901 });
    process.exit(3);
  },
});
