import { action, v } from "@pylonsync/functions";

export default action({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    const file = await ctx.storage.write(new TextEncoder().encode(text), { name: "a.txt" });
    const { id, ownerId, size } = file;
    const bytes = await ctx.storage.read(id, { start: 1 });
    const link = await ctx.storage.sign(id);
    const refused = await ctx.storage.sign("none").catch((error: unknown) => Object(error).code);
    const known = await ctx.storage.info(id);
    const isSame = JSON.stringify(known) === JSON.stringify(file);
    return {
      id,
      isMine: ownerId === ctx.auth.userId,
      size,
      rest: String(Buffer.from(bytes ?? [])),
      link,
      refused,
      isSame,
    };
  },
});
