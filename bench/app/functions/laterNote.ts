import { internalMutation } from "@pylonsync/functions";

export default internalMutation({
  args: {},
  async handler(ctx) {
    await ctx.db.insert("Note", { text: "later", count: 1, ownerId: "bench" });
  },
});
