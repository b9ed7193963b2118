import { action } from "@pylonsync/functions";

/** Streams the caller's notes, one after the other. */
export default action({
  args: {},
  async handler(ctx) {
    const notes = await ctx.runQuery("myNotes", {});
    for (const { text } of notes as { text: string }[]) ctx.stream.write(text);
    return { read: (notes as unknown[]).length };
  },
});
