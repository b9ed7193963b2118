import { mutation, v } from "@pylonsync/functions";
import { requirePerson } from "./_people.ts";

/** Replies to a message in its thread, and counts the reply, in one transaction. */
export default mutation({
  args: { parentId: v.id("Message"), text: v.string() },
  async handler(ctx, { parentId, text }) {
    const { userId, name } = await requirePerson(ctx);
    const parent = await ctx.db.get("Message", parentId);
    const channelId = parent?.channelId ?? "";
    if (parent === null || (await ctx.db.count("Member", { channelId, userId })) === 0)
      throw ctx.error("NOT_FOUND", "The message was not found.");
    if (parent.parentId !== null)
      throw ctx.error("INVALID_DATA", "A reply has no thread of its own.");
    if (text.trim() === "") throw ctx.error("INVALID_DATA", "Write something first.");
    await ctx.db.update("Message", parentId, { replyCount: parent.replyCount + 1 });
    return ctx.db.insert("Message", {
      channelId,
      parentId,
      authorId: userId,
      authorName: name,
      text: text.trim(),
    });
  },
});
