import { action, v } from "@pylonsync/functions";

/** Returns the contents of `ctx`, in whichever process it runs. */
export default action({
  args: { n: v.int() },
  handler: async (ctx, { n }) => {
    console.warn("in an action", { n });
    await ctx.stream.write("first");
    await ctx.runMutation("add", { n });
    void ctx.stream.writeEvent("half", "second");
    const counted: unknown = await ctx.runQuery("count", {});
    const failed = await ctx.runMutation("add", { n: -n, end: "refuse" }).then(
      () => null,
      (error: unknown) => (error instanceof Error && "code" in error ? error.code : null),
    );
    const missed = await ctx.cache.get("nothing there");
    const made = await ctx.cache.getOrSet("made", 60, async () => {
      const items: unknown = await ctx.runQuery("count", {});
      return { items };
    });
    const jobId = await ctx.scheduler.runAfter(60_000, "count");
    return {
      counted,
      failed: String(failed),
      missed: missed === undefined,
      made,
      isCancelled: await ctx.scheduler.cancel(jobId),
      region: ctx.env["REGION"] ?? null,
      secret: ctx.env["PYLON_ADMIN_TOKEN"] ?? null,
      hasRequestId: ctx.requestId.length > 0,
      isAborted: ctx.signal.aborted,
      when: new Date(0),
      job: ctx.job,
    };
  },
});
