import { mutation } from "@pylonsync/functions";

/** Deletes the caller's finished todos, all or none. */
export default mutation({
  args: {},
  async handler(ctx) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const done = await ctx.db.query("Todo", { ownerId: userId, done: true });
    for (const todo of done) await ctx.db.delete("Todo", todo.id);
    return { cleared: done.length };
  },
});
