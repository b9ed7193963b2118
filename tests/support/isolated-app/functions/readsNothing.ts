import { query } from "@pylonsync/functions";

/** A missing variable finds no row instead of the wrong one. */
export default query({
  args: {},
  handler: (ctx) => ctx.db.query("Item", { n: undefined as never }),
});
