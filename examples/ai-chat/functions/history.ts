import { internalQuery, v } from "@pylonsync/functions";
import type { Turn } from "./_model.ts";

const MAX_TURNS = 20;

/** The messages before an answer: the newest turns, sorted from the oldest. */
export default internalQuery({
  args: { before: v.id("Message") },
  async handler(ctx, { before }): Promise<Turn[]> {
    const answer = await ctx.db.get("Message", before);
    const messages = await ctx.db.query("Message", {
      at: { $lt: answer?.at ?? "" },
      text: { $not: "" },
      $order: { at: "desc" },
      $limit: MAX_TURNS,
    });
    return messages.toReversed().map(({ role, text }) => ({ role, content: text }));
  },
});
