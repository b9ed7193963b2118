import { mutation, v } from "@pylonsync/functions";

/** Adds a task of the caller; with `fail` it throws after the row is written. */
export default mutation({
  args: { title: v.string(), group: v.string(), fail: v.optional(v.boolean()) },
  async handler(ctx, { title, group, fail }) {
    if (ctx.auth.userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const id = await ctx.db.insert("Task", { title, group, ownerId: ctx.auth.userId });
    if (fail === true) throw ctx.error("ON_PURPOSE", "Nothing of it is kept.");
    return { id };
  },
});
