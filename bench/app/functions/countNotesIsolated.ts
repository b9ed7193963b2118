import { query, v } from "@pylonsync/functions";

/** The same as countNotes, in a separate process. */
export default query({
  args: { count: v.int() },
  isolate: true,
  handler: async (ctx, { count }) => ({ count: await ctx.db.count("Note", { count }) }),
});
