import { mutation, v } from "@pylonsync/functions";
import { requirePerson } from "./_people.ts";

/** Ends the caller's membership: from then on they receive no changes of the channel. */
export default mutation({
  args: { channelId: v.id("Channel") },
  async handler(ctx, { channelId }) {
    const { userId } = await requirePerson(ctx);
    for (const entity of ["Member", "ReadMark"] as const)
      for (const { id } of await ctx.db.query(entity, { channelId, userId }))
        await ctx.db.delete(entity, id);
    return null;
  },
});
