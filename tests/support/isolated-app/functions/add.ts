import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: { n: v.int(), end: v.optional(v.string()) },
  handler: async (ctx, { n, end }) => {
    console.log("adding", n);
    const id = await ctx.db.insert("Item", { n });
    const isSeen = (await ctx.db.get("Item", id)) !== null;
    await ctx.scheduler.runAfter(60_000, "add", { n: n + 1000 });
    if (end === "refuse") throw ctx.error("SOLD_OUT", "No more.");
    if (end === "break") throw new Error("an inner detail");
    if (end === "not json") return new Map() as never;
    return { isSeen, count: await ctx.db.count("Item"), userId: ctx.auth.userId };
  },
});
