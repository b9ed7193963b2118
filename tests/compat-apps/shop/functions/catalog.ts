import { query, v } from "@pylonsync/functions";

/** Calls each read method of `ctx.db`. */
export default query({
  args: { brand: v.string() },
  async handler(ctx, args) {
    const ofBrand = await ctx.db.query("Product", {
      brand: args.brand,
      price: { $gt: 10, $lt: 1000 },
      color: { $in: ["red", "blue"] },
      name: { $like: "Lamp" },
      $order: { price: "desc" },
      $limit: 3,
      $offset: 1,
    });
    const first = await ctx.db.lookup("Product", "name", "Lamp 000");
    const page = await ctx.db.paginate("Product", { cursor: null, numItems: 2 });
    const graph = await ctx.db.queryGraph({ Order: { include: { product: {} }, limit: 1 } });
    const missing = await ctx.db.get("Product", "none");
    return {
      names: ofBrand.map((product) => product["name"]),
      first: first?.["name"] ?? null,
      page: page.page.length,
      isDone: page.isDone,
      graph: Object.keys(graph),
      missing,
      all: (await ctx.db.list("Product")).length,
    };
  },
});
