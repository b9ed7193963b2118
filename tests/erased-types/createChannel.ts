import { mutation, v } from "@pylonsync/functions";

type Channel = { id: string; name: string };

export default mutation({
  args: { name: v.string(), topic: v.optional(v.string()) },
  async handler(ctx, { name, topic }) {
    const same = (await ctx.db.query("Channel", { name, $limit: 1 })) as Channel[];
    if (same[0] !== undefined) return { channelId: same[0].id };
    const by = ctx.auth.userId;
    const channelId = await ctx.db.insert("Channel", { name, topic: topic ?? null });
    await ctx.db.update("Channel", channelId, { topic: by });
    const found = await ctx.db.lookup("Channel", "name", name);
    return { channelId: found?.id ?? channelId };
  },
});
