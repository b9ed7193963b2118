import { action, v } from "@pylonsync/functions";
import { internal } from "../pylon.client.ts";

/** Its result is inferred, although it returns what calls of other functions return. */
export default action({
  args: { id: v.id("Task"), title: v.string() },
  async handler(ctx, { id, title }) {
    const jobId = await ctx.scheduler.runAfter(1000, "rename", { id, title });
    const atId = await ctx.scheduler.runAt(1000, internal.messages.store, { text: title });
    const { renamed } = await ctx.runMutation("rename", { id, title });
    const { count } = await ctx.runQuery("countTasks", { rank: 1 });
    // @ts-expect-error the title is a string
    const wrong = await ctx.scheduler.runAfter(1000, "rename", { id, title: 1 });
    // @ts-expect-error there is no such argument
    const more = await ctx.scheduler.runAfter(1000, "rename", { id, title, more: 1 });
    // @ts-expect-error there is no such function
    const other = await ctx.scheduler.runAfter(1000, "renamed", { id, title });
    return { jobId, atId, renamed, count, wrong, more, other };
  },
});
