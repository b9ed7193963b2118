import { internalAction, v } from "@pylonsync/functions";

const LINES_AT_ONCE = 25;

/** Runs as a job, which may restart after a crash: its writes can be repeated. */
export default internalAction({
  args: { lines: v.array(v.string()) },
  async handler(ctx, { lines }) {
    for (let from = 0; from < lines.length; from += LINES_AT_ONCE) {
      await ctx.job?.setProgress(from / lines.length, `${from} of ${lines.length} lines`);
      await ctx.runMutation("putProducts", { lines: lines.slice(from, from + LINES_AT_ONCE) });
    }
    await ctx.job?.setProgress(1, `${lines.length} lines`);
  },
});
