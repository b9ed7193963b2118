import { query } from "@pylonsync/functions";

export default query({
  args: {},
  async handler(ctx) {
    const { userId, tenantId } = ctx.auth;
    const org = tenantId ? await ctx.db.get("Org", tenantId) : null;
    return { userId, tenantId, org: org ? String(org["name"]) : null };
  },
});
