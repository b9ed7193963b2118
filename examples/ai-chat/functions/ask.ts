import { mutation, v } from "@pylonsync/functions";
import { internal } from "../pylon.client.ts";

const MAX_CHARS = 4_000;
const ANSWER_SECS = 300;

/** Inserts the question and an empty answer into the conversation, and schedules the answer. */
export default mutation({
  auth: "user",
  args: { text: v.string() },
  errors: { BUSY: {}, TOO_LONG: { max: v.int() } },
  async handler(ctx, { text }): Promise<{ id: string }> {
    if (text.trim() === "" || text.length > MAX_CHARS)
      throw ctx.error("TOO_LONG", `Ask in 1 to ${MAX_CHARS} characters.`, { max: MAX_CHARS });
    if ((await ctx.db.count("Message", { state: "writing" })) > 0)
      throw ctx.error("BUSY", "An answer is being written.");
    const question = { role: "user", text, state: "done" } as const;
    await ctx.db.insert("Message", { ...question, at: new Date(ctx.now).toISOString() });
    const id = await ctx.db.insert("Message", {
      role: "assistant",
      text: "",
      state: "writing",
      at: new Date(ctx.now + 1).toISOString(),
    });
    // A job instead of a call from the page: it continues when the page is closed, or the server
    // restarts.
    await ctx.scheduler.runAfter(0, internal.answer, { id }, { timeoutSecs: ANSWER_SECS });
    return { id };
  },
});
