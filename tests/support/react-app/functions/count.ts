import { query, v } from "@pylonsync/functions";

export default query({
  args: { shelf: v.int() },
  handler: async (ctx, { shelf }) => {
    const items = await ctx.db.query("Item", { shelf });
    if (items.length === 0) throw ctx.error("EMPTY", "The shelf is empty.");
    return items.length;
  },
});
