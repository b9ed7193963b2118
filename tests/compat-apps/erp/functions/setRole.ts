import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { memberId: v.id("OrgMember"), role: v.string() },
  async handler(ctx, args) {
    if (!["owner", "member"].includes(args.role))
      throw ctx.error("INVALID_ROLE", `${args.role} is not a role`);
    await ctx.db.update("OrgMember", args.memberId, { role: args.role });
    return { role: args.role };
  },
});
