import { query } from "@pylonsync/functions";

/** The caller's notes. */
export default query({
  args: {},
  async handler(ctx) {
    return ctx.auth.userId === null ? [] : ctx.db.query("Note", { ownerId: ctx.auth.userId });
  },
});
