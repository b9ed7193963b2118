import { query } from "@pylonsync/functions";

/** Depends on the caller: as a live function it runs separately for each user. */
export default query({
  args: {},
  handler: async (ctx) => ({
    userId: ctx.auth.userId,
    items: await ctx.db.count("Item"),
    drawn: ctx.uuid(),
  }),
});
