import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { cents: v.int(), with: v.optional(v.string()) },
  errors: { OUTBID: { highest: v.int() } },
  handler: async (ctx, { cents, with: other }) => {
    await ctx.db.insert("Item", { n: cents });
    if (other === "bug") throw ctx.error("OUTBID", "A bug.", JSON.parse('{"highest": "text"}'));
    if (cents < 100) throw ctx.error("OUTBID", "Somebody has bid more.", { highest: 100 });
    return cents;
  },
});
