import { mutation, v, type MutationCtx } from "@pylonsync/functions";

export default mutation({
  args: {
    id: v.id("Task"),
    title: v.string(),
    tags: v.optional(
      v.array(v.object({ name: v.string(), kind: v.union(v.literal("a"), v.literal("b")) })),
    ),
  },
  errors: { TAKEN: { by: v.id("Task"), tries: v.optional(v.int()) }, LOCKED: {} },
  handler: async (ctx, args) => {
    // @ts-expect-error a declared code requires its data
    void ctx.error("TAKEN", "It is taken.");
    // @ts-expect-error the data must have the declared type
    void ctx.error("TAKEN", "It is taken.", { by: 1 });
    // @ts-expect-error the code is not declared
    void ctx.error("NOPE", "No.");
    if (args.title === "taken") throw ctx.error("TAKEN", "It is taken.", { by: args.id });
    if (args.title === "locked") throw ctx.error("LOCKED", "It is locked.");
    helpAny(ctx);
    const task = await ctx.db.get("Task", args.id);
    if (task === null) return { renamed: false };
    // @ts-expect-error a title is a string
    await ctx.db.update("Task", task.id, { title: 5 });
    // @ts-expect-error there is no such entity
    await ctx.db.get("Nope", "x");
    // @ts-expect-error a title is required
    await ctx.db.insert("Task", { slug: "s" });
    // @ts-expect-error the slug is set only once
    await ctx.db.update("Task", task.id, { slug: "other" });
    const kind: "a" | "b" | undefined = args.tags?.[0]?.kind;
    await ctx.db.insert("Task", { title: args.title, slug: kind ?? task.slug });
    return { renamed: true };
  },
});

function helpAny(ctx: MutationCtx): void {
  void ctx.error("ANY", "A helper that takes any context throws what it wants.");
}
