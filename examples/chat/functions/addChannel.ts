import { mutation, v } from "@pylonsync/functions";
import { addMember, requirePerson } from "./_people.ts";

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}_-]{0,39}$/u;

/** Creates a channel, with the caller as its first member. */
export default mutation({
  args: { name: v.string() },
  async handler(ctx, args) {
    const person = await requirePerson(ctx);
    const name = args.name.trim().replace(/^#/, "").toLowerCase().replaceAll(/\s+/g, "-");
    if (!NAME.test(name))
      throw ctx.error("INVALID_DATA", "A name has up to 40 letters, digits and hyphens.");
    if ((await ctx.db.count("Channel", { name })) > 0)
      throw ctx.error("CONFLICT", `There is a channel #${name} already.`);
    const channelId = await ctx.db.insert("Channel", { name });
    await addMember(ctx, person, channelId);
    return { channelId };
  },
});
