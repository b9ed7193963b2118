import { mutation, v } from "@pylonsync/functions";

const MAX_NAME_LENGTH = 20;

/** Gives the caller a name, or changes it. */
export default mutation({
  args: { name: v.string() },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const name = args.name.trim().slice(0, MAX_NAME_LENGTH);
    if (name === "") throw ctx.error("INVALID_DATA", "Choose a name that others see.");
    const pilot = await ctx.db.lookup("Pilot", "userId", userId);
    if (pilot === null) await ctx.db.insert("Pilot", { userId, name });
    else await ctx.db.update("Pilot", pilot.id, { name });
  },
});
