import { action, v } from "@pylonsync/functions";

/**
 * Streams the given amount, as fast as it is read or without waiting; endlessly until the caller
 * stops reading.
 */
export default action({
  args: { mib: v.int(), waits: v.boolean() },
  handler: async (ctx, { mib, waits }) => {
    await ctx.runMutation("addItem", { n: 7 });
    for (let count = 0; count < mib * 16; count += 1) {
      const written = ctx.stream.write("x".repeat(64 * 1024));
      if (waits) await written;
    }
    return "told";
  },
});
