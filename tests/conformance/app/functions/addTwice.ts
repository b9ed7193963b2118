import { action, v } from "@pylonsync/functions";

export default action({
  args: { group: v.string() },
  async handler(ctx, { group }) {
    await ctx.runMutation("addTask", { title: "one", group });
    await ctx.runMutation("addTask", { title: "two", group });
    return { count: await ctx.runQuery("countTasks", { group }) };
  },
});
