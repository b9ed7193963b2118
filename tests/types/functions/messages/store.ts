import { internalMutation, v } from "@pylonsync/functions";

export default internalMutation({
  args: { text: v.string() },
  handler: (ctx, { text }) => ctx.db.insert("Tag", { name: text }),
});
