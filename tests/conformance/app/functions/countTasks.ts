import { query, v } from "@pylonsync/functions";

export default query({
  args: { group: v.string() },
  handler: (ctx, { group }) => ctx.db.count("Task", { group }),
});
