import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { productId: v.id("Product"), about: v.string() },
  async handler(ctx, args) {
    await ctx.db.update("Product", args.productId, { about: args.about });
    return null;
  },
});
