import { mutation, v } from "@pylonsync/functions";

/** The duration of each step of an order, in milliseconds. */
const STEP_MS = 20;

export default mutation({
  args: { productId: v.id("Product"), fail: v.optional(v.boolean()) },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (!userId) throw ctx.error("UNAUTHENTICATED", "log in first");
    const product = await ctx.db.get("Product", args.productId);
    if (!product) throw ctx.error("NOT_FOUND", "no such product");
    const stock = Number(product["stock"]);
    if (stock < 1) throw ctx.error("SOLD_OUT", `${String(product["name"])} is sold out`);
    await ctx.db.update("Product", args.productId, { stock: stock - 1 });
    const orderId = await ctx.db.insert("Order", {
      userId,
      productId: args.productId,
      status: "placed",
      createdAt: new Date().toISOString(),
    });
    const jobId = await ctx.scheduler.runAfter(STEP_MS, "advanceOrder", { orderId, to: "packed" });
    if (args.fail) throw ctx.error("ON_PURPOSE", "nothing of it is kept");
    return { orderId, jobId };
  },
});
