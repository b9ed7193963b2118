import { mutation, v } from "@pylonsync/functions";
import { addMember, requirePerson } from "./_people.ts";

/** Makes the caller a member of a channel. */
export default mutation({
  args: { channelId: v.id("Channel") },
  async handler(ctx, { channelId }) {
    const person = await requirePerson(ctx);
    if ((await ctx.db.get("Channel", channelId)) === null)
      throw ctx.error("NOT_FOUND", "The channel was not found.");
    await addMember(ctx, person, channelId);
    return null;
  },
});
