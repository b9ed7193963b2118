import { mutation, v } from "@pylonsync/functions";

export default mutation({
  args: {
    id: v.id("Task"),
    title: v.string(),
    tags: v.optional(
      v.array(v.object({ name: v.string(), kind: v.union(v.literal("a"), v.literal("b")) })),
    ),
  },
  handler: async (ctx, args) => {
    const task = await ctx.db.get("Task", args.id);
    if (task === null) return { renamed: false };
    // @ts-expect-error a title is a string
    await ctx.db.update("Task", task.id, { title: 5 });
    // @ts-expect-error there is no such entity
    await ctx.db.get("Nope", "x");
    // @ts-expect-error a title is required
    await ctx.db.insert("Task", { slug: "s" });
    // @ts-expect-error the slug is set once
    await ctx.db.update("Task", task.id, { slug: "other" });
    const kind: "a" | "b" | undefined = args.tags?.[0]?.kind;
    await ctx.db.insert("Task", { title: args.title, slug: kind ?? task.slug });
    return { renamed: true };
  },
});
