import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { channelId: v.id("Channel"), body: v.string() },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "log in first");
    if ((await ctx.db.get("Channel", args.channelId)) === null)
      throw ctx.error("NOT_FOUND", "no such channel");
    const messageId = await ctx.db.insert("Message", {
      channelId: args.channelId,
      authorId: userId,
      body: args.body,
      createdAt: new Date().toISOString(),
    });
    return { messageId };
  },
});
