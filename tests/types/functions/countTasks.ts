import { query, v } from "@pylonsync/functions";

export default query({
  args: { rank: v.optional(v.int()) },
  handler: async (ctx, { rank }) => {
    const [at, chance, id]: [number, number, string] = [ctx.now, ctx.random(), ctx.uuid()];
    return {
      at,
      chance,
      id,
      count: await ctx.db.count("Task", rank === undefined ? {} : { rank }),
    };
  },
});
