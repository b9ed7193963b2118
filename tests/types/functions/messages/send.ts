import { action, v } from "@pylonsync/functions";
import { internal } from "../../pylon.client.ts";

export default action({
  args: { text: v.string(), loud: v.optional(v.boolean()) },
  async handler(ctx, args) {
    const id = await ctx.runMutation(internal.messages.store, { text: args.text });
    return { id };
  },
});
