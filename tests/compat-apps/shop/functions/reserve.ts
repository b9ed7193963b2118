import { mutation, v } from "@pylonsync/functions";

/** Schedules a call that expires an order in an hour, and cancels it with `cancel`. */
export default mutation({
  args: { orderId: v.optional(v.id("Order")), cancel: v.optional(v.string()) },
  async handler(ctx, args) {
    if (args.cancel !== undefined) {
      await ctx.scheduler.cancel(args.cancel);
      return { jobId: args.cancel };
    }
    const orderId = args.orderId ?? "";
    const jobId = await ctx.scheduler.runAfter(60 * 60 * 1000, "advanceOrder", {
      orderId,
      to: "expired",
    });
    return { jobId };
  },
});
