import { query, v } from "@pylonsync/functions";

export default query({
  args: { id: v.id("Note") },
  async handler(ctx, { id }) {
    let bytes = 0;
    for (let read = 0; read < 1000; read += 1)
      bytes += String((await ctx.db.get("Note", id))?.text).length;
    return { bytes };
  },
});
