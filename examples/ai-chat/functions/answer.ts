import { internalAction, v } from "@pylonsync/functions";
import { internal } from "../pylon.client.ts";
import { askModel } from "./_model.ts";

/** Requests an answer from the model, and saves it while it is streamed. */
export default internalAction({
  args: { id: v.id("Message") },
  async handler(ctx, { id }): Promise<void> {
    let text = "";
    const save = (state: "writing" | "done" | "failed"): Promise<boolean> =>
      ctx.runMutation(internal.write, { id, text, state });
    try {
      const messages = await ctx.runQuery(internal.history, { before: id });
      for await (const part of askModel(ctx, messages)) {
        text += part;
        // A user has stopped it: the end of the request tells the model.
        if (!(await save("writing"))) return;
      }
      await save("done");
    } catch (error) {
      ctx.log.warn("The model failed.", { reason: String(error) });
      await save("failed");
    }
  },
});
