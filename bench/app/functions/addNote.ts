import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { text: v.string(), count: v.int() },
  async handler(ctx, args) {
    if (ctx.auth.userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    return { id: await ctx.db.insert("Note", { ...args, ownerId: ctx.auth.userId }) };
  },
});
