import { mutation, v } from "@pylonsync/functions";
import { withCaller } from "./_middleware.ts";

export default mutation({
  middleware: [withCaller],
  args: { end: v.string() },
  handler: async (ctx, { end }) => {
    await ctx.db.insert("Item", { n: 1 });
    return end === "late" ? "too late" : { caller: ctx.caller, seen: ctx.seen };
  },
});
