import { mutation, v } from "@pylonsync/functions";

/** An error of the database has its code, and the handler may catch it or pass it on. */
export default mutation({
  args: { n: v.int(), catches: v.bool() },
  handler: async (ctx, { n, catches }) => {
    await ctx.db.insert("Item", { n });
    if (!catches) return ctx.db.insert("Item", { n });
    try {
      return (await ctx.db.get("Item", 5 as never)) === null;
    } catch (error) {
      return error instanceof Error && "code" in error ? String(error.code) : "no code";
    }
  },
});
