import { action, v } from "@pylonsync/functions";

/** Answers in parts to a caller that takes an event stream. */
export default action({
  args: { parts: v.array(v.string()) },
  async handler(ctx, { parts }) {
    for (const part of parts) await ctx.stream.write(part);
    return { told: parts.length };
  },
});
