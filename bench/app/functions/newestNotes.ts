import { query } from "@pylonsync/functions";

let runs = 0;

/** The notes with the highest counts, and how often they were requested. */
export default query({
  async handler(ctx) {
    runs += 1;
    const notes = await ctx.db.query("Note", { $order: { count: "desc" }, $limit: 20 });
    return { runs, texts: notes.map(({ text }) => text) };
  },
});
