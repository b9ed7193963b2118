import { mutation, v } from "@pylonsync/functions";

const NEXT: Record<string, string | undefined> = { packed: "shipped", shipped: "delivered" };
const STEP_MS = 20;

/** Called by the scheduler, without a signed-in user. */
export default mutation({
  args: { orderId: v.id("Order"), to: v.string() },
  async handler(ctx, args) {
    if (ctx.auth.userId !== null) throw ctx.error("FORBIDDEN", "only the shop may");
    const order = await ctx.db.get("Order", args.orderId);
    if (!order || order["status"] === "cancelled") return;
    await ctx.db.update("Order", args.orderId, { status: args.to });
    const to = NEXT[args.to];
    if (to !== undefined)
      await ctx.scheduler.runAt(Date.now() + STEP_MS, "advanceOrder", {
        orderId: args.orderId,
        to,
      });
  },
});
