import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { name: v.string() },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "log in first");
    const name = args.name.trim().toLowerCase();
    if (name === "") throw ctx.error("INVALID_NAME", "a channel needs a name");
    const taken = await ctx.db.lookup("Channel", "name", name);
    if (taken !== null) throw ctx.error("NAME_TAKEN", `#${name} is there already`);
    const createdAt = new Date().toISOString();
    const channelId = await ctx.db.insert("Channel", { name, createdBy: userId, createdAt });
    return { channelId };
  },
});
