import { internalMutation, v } from "@pylonsync/functions";

/** Called by the steps of the workflow that ships an order. */
export default internalMutation({
  args: {
    orderId: v.id("Order"),
    status: v.union(
      v.literal("packed"),
      v.literal("shipped"),
      v.literal("delivered"),
      v.literal("lost"),
    ),
  },
  async handler(ctx, { orderId, status }) {
    await ctx.db.update("Order", orderId, { status });
  },
});
