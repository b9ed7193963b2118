import { mutation, v } from "@pylonsync/functions";

/** Takes one from the stock, and starts the workflow that ships it, in one transaction. */
export default mutation({
  args: { productId: v.id("Product") },
  async handler(ctx, { productId }) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const product = await ctx.db.get("Product", productId);
    if (product === null) throw ctx.error("NOT_FOUND", "The product was not found.");
    if (product.stock === 0) throw ctx.error("SOLD_OUT", `${product.name} is sold out.`);
    await ctx.db.update("Product", productId, { stock: product.stock - 1 });
    const order = { product: product.name, ownerId: userId };
    const orderId = await ctx.db.insert("Order", order);
    const runId = await ctx.workflows.start("ship", { orderId });
    await ctx.db.update("Order", orderId, { runId });
    return { orderId, runId };
  },
});
