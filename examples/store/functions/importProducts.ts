import { mutation, v } from "@pylonsync/functions";

const MAX_LINES = 5_000;

/**
 * Imports lines such as `Teapot, 24.90, 12` later, and answers the job to follow. A real store
 * would ask for a role here.
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
