import { query } from "@pylonsync/functions";

/** Looks at who asks: as a live function it runs for each user on its own. */
export default query({
  args: {},
  handler: async (ctx) => ({
    userId: ctx.auth.userId,
    items: await ctx.db.count("Item"),
    drawn: ctx.uuid(),
  }),
});
