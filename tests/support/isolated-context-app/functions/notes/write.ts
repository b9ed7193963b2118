import { mutation, v } from "@pylonsync/functions";
import { codeOf } from "../_code-of.ts";

/** Writes with the permissions of its caller, of another user, and with its own. */
export default mutation({
  auth: "user",
  args: { other: v.string() },
  handler: async (ctx, { other }) => {
    const mine = ctx.db.as(ctx.auth);
    const ownerId = String(ctx.auth.userId);
    const id = await mine.insert("Note", { ownerId, text: "mine", pin: 1 });
    const theirs = await ctx.db.insert("Note", { ownerId: other, text: "theirs", pin: 2 });
    return {
      mine: await mine.get("Note", id),
      pin: (await ctx.db.get("Note", id))?.["pin"],
      theirs: await mine.get("Note", theirs),
      changed: await mine.update("Note", theirs, { text: "stolen" }),
      theirCount: await mine.as(other).count("Note"),
      byId: await ctx.db.as(other).count("Note"),
      all: await ctx.db.count("Note"),
      refused: await codeOf(() => mine.insert("Note", { ownerId: other, text: "x", pin: 3 })),
      hook: await codeOf(() => ctx.db.insert("Note", { ownerId, text: "secret", pin: 3 })),
      nobody: await codeOf(() => ctx.db.as(5 as never)),
    };
  },
});
