import { mutation, v } from "@pylonsync/functions";

/** Returns the declared type, or another one. */
export default mutation({
  args: { n: v.int() },
  returns: v.string(),
  handler: async (ctx, { n }) => {
    const id = await ctx.db.insert("Item", { n });
    return n < 0 ? (n as never) : id;
  },
});
