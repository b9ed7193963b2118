import { internalMutation, v } from "@pylonsync/functions";

const LINE = /^\s*([^,]{1,80}?)\s*,\s*(\d{1,6})(?:\.(\d{2}))?\s*,\s*(\d{1,6})\s*$/;

/** Upserts products by name, so it can be repeated. Invalid lines are skipped. */
export default internalMutation({
  args: { lines: v.array(v.string()) },
  async handler(ctx, { lines }) {
    for (const line of lines) {
      const [, name, euros, rest = "0", stock] = LINE.exec(line) ?? [];
      if (name === undefined) continue;
      const product = { cents: Number(euros) * 100 + Number(rest), stock: Number(stock) };
      const known = await ctx.db.lookup("Product", "name", name);
      if (known === null) await ctx.db.insert("Product", { name, ...product });
      else await ctx.db.update("Product", known.id, product);
    }
  },
});
