import { action, v } from "@pylonsync/functions";

/** Responds in chunks to a caller that accepts an event stream. */
export default action({
  args: { parts: v.array(v.string()) },
  async handler(ctx, { parts }) {
    for (const part of parts) await ctx.stream.write(part);
    return { told: parts.length };
  },
});
