import { mutation, v } from "@pylonsync/functions";

const MAX_LINES = 5_000;

/**
 * Schedules an import of lines such as `Teapot, 24.90, 12`, and returns the id of the job. A real
 * store would require a role here.
 */
export default mutation({
  args: { text: v.string() },
  async handler(ctx, { text }): Promise<string> {
    const { userId } = ctx.auth;
    if (userId === null) throw ctx.error("UNAUTHENTICATED", "Sign in first.");
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0 || lines.length > MAX_LINES)
      throw ctx.error("INVALID_DATA", `Paste 1 to ${MAX_LINES} lines.`);
    return ctx.scheduler.runAfter(0, "readProducts", { lines }, { queue: "imports", key: userId });
  },
});
