import { internalMutation, v } from "@pylonsync/functions";

export default internalMutation({
  args: { group: v.string(), userId: v.string() },
  handler: (ctx, { group, userId }) =>
    ctx.db.insert("Task", { title: "later", group, ownerId: userId }),
});
