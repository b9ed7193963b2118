import { mutation, v } from "@pylonsync/functions";
import { addMember } from "./_people.ts";

const MAX_NAME_LENGTH = 40;

/** Gives the caller a name, and adds them to #general. */
export default mutation({
  args: { name: v.string() },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const name = args.name.trim().slice(0, MAX_NAME_LENGTH);
    if (name === "") throw ctx.error("INVALID_DATA", "Choose a name that others see.");
    if ((await ctx.db.count("Person", { userId })) === 0)
      await ctx.db.insert("Person", { userId, name });
    const [general] = await ctx.db.query("Channel", { name: "general", $limit: 1 });
    const channelId = general?.id ?? (await ctx.db.insert("Channel", { name: "general" }));
    await addMember(ctx, { userId, name }, channelId);
    return { channelId };
  },
});
