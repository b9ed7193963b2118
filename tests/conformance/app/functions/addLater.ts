import { mutation, v } from "@pylonsync/functions";

/** Schedules a call that adds a task once this mutation is committed. */
export default mutation({
  args: { group: v.string(), fail: v.optional(v.boolean()) },
  async handler(ctx, { group, fail }) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const job = await ctx.scheduler.runAfter(0, "addFor", { group, userId });
    if (fail === true) throw ctx.error("ON_PURPOSE", "Nothing is scheduled.");
    return { job };
  },
});
