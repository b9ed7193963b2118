import { action, functionError, v } from "@pylonsync/functions";

export default action({
  args: { cents: v.int(), catches: v.boolean() },
  handler: async (ctx, { cents, catches }): Promise<unknown> => {
    try {
      return await ctx.runMutation("bid", { cents });
    } catch (thrown) {
      const error = functionError("bid", thrown);
      if (catches && error?.code === "OUTBID") return { told: error.data };
      throw thrown;
    }
  },
});
