import { mutation, v } from "@pylonsync/functions";

const BRANDS = ["Acme", "Globex", "Initech"];
const COLORS = ["red", "blue"];

export default mutation({
  args: { count: v.int() },
  async handler(ctx, args) {
    if ((await ctx.db.list("Product")).length > 0) return { seeded: 0 };
    for (let i = 0; i < args.count; i++) {
      await ctx.db.insert("Product", {
        name: `Lamp ${String(i).padStart(3, "0")}`,
        brand: BRANDS[i % BRANDS.length] ?? "",
        color: COLORS[i % COLORS.length] ?? "",
        price: 10 + i / 2,
        stock: 2,
        isNew: i === 0,
        createdAt: new Date(Date.UTC(2026, i < 100 ? 0 : 1, 1 + (i % 2))).toISOString(),
      });
    }
    return { seeded: args.count };
  },
});
