import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { name: v.string() },
  async handler(ctx, args) {
    const { userId } = ctx.auth;
    if (!userId) throw ctx.error("UNAUTHENTICATED", "log in first");
    const orgId = await ctx.db.insert("Org", { name: args.name });
    await ctx.db.insert("OrgMember", { orgId, userId, role: "owner" });
    return { orgId };
  },
});
