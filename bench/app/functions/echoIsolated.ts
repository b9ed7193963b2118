import { query, v } from "@pylonsync/functions";

/** The same as echo, in a separate process. */
export default query({
  args: { count: v.int() },
  isolate: true,
  handler: (_ctx, { count }) => ({ count }),
});
