import { internalMutation, v } from "@pylonsync/functions";

/** Saves the current text of an answer. @returns whether to continue */
export default internalMutation({
  args: {
    id: v.id("Message"),
    text: v.string(),
    state: v.union(v.literal("writing"), v.literal("done"), v.literal("failed")),
  },
  async handler(ctx, { id, text, state }): Promise<boolean> {
    const message = await ctx.db.get("Message", id);
    if (message?.state !== "writing") return false;
    await ctx.db.update("Message", id, { text, state });
    return true;
  },
});
