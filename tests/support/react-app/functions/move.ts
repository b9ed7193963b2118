import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { id: v.string(), shelf: v.int() },
  handler: async (ctx, { id, shelf }) => {
    if (shelf > 99) throw ctx.error("NO_SHELF", "There is no such shelf.");
    await ctx.db.update("Item", id, { shelf });
  },
});
