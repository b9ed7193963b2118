import { mutation, v } from "@pylonsync/functions";

/** The customer has received the parcel: the waiting run continues. */
export default mutation({
  args: { orderId: v.id("Order") },
  async handler(ctx, { orderId }) {
    const order = await ctx.db.get("Order", orderId);
    if (order === null || order.ownerId !== ctx.auth.userId)
      throw ctx.error("NOT_FOUND", "The order was not found.");
    if (order.status !== "shipped" || order.runId === null)
      throw ctx.error("NOT_SHIPPED", "Only an order that was shipped can arrive.");
    await ctx.workflows.send(order.runId, "delivered");
  },
});
