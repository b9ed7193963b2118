import { action, v } from "@pylonsync/functions";

/** Writes a text for a product, in chunks, as a model would. */
export default action({
  args: { productId: v.id("Product") },
  async handler(ctx, args) {
    const catalog = (await ctx.runQuery("catalog", { brand: "Acme" })) as { all: number };
    const about = `One of ${catalog.all}, by ${ctx.env["SHOP_AUTHOR"] ?? "nobody"}.`;
    for (const word of about.split(" ")) await ctx.stream.write(`${word} `);
    await ctx.runMutation("setAbout", { productId: args.productId, about });
    const jobId = await ctx.scheduler.runAfter(0, "setAbout", {
      productId: args.productId,
      about: `${about} Checked.`,
    });
    return { about, jobId, requestId: typeof ctx.requestId };
  },
});
