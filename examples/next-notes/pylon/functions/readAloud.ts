import { action } from "@pylonsync/functions";

const PAUSE_MS = 300;

/** Streams the caller's notes, one after the other, with a pause after each. */
export default action({
  args: {},
  async handler(ctx) {
    const notes = (await ctx.runQuery("myNotes", {})) as readonly { readonly text: string }[];
    for (const { text } of notes) {
      await ctx.stream.write(text);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return { read: notes.length };
  },
});
