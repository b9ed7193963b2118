import { mutation } from "@pylonsync/functions";

/** Stops the answer that is being written; the text so far is kept. */
export default mutation({
  auth: "user",
  args: {},
  async handler(ctx): Promise<{ stopped: number }> {
    const writing = await ctx.db.query("Message", { state: "writing" });
    for (const { id } of writing) await ctx.db.update("Message", id, { state: "stopped" });
    return { stopped: writing.length };
  },
});
