import { action } from "@pylonsync/functions";

/** Runs a mutation twice with one key. */
export default action({
  handler: async (ctx) => {
    const key = { idempotencyKey: ctx.uuid() };
    const first = await ctx.runMutation("addItem", { n: 1 }, key);
    return { isSame: (await ctx.runMutation("addItem", { n: 1 }, key)) === first };
  },
});
