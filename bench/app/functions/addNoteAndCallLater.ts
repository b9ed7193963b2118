import { mutation, v } from "@pylonsync/functions";

// A day later: the cost of running the job is not part of the cost of scheduling it.
const DELAY_MS = 24 * 60 * 60_000;

export default mutation({
  args: { text: v.string(), count: v.int() },
  async handler(ctx, args) {
    if (ctx.auth.userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const id = await ctx.db.insert("Note", { ...args, ownerId: ctx.auth.userId });
    await ctx.scheduler.runAfter(DELAY_MS, "later");
    return { id };
  },
});
