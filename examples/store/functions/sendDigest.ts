import { html, internalMutation } from "@pylonsync/functions";

const MAX_SOLD_OUT = 20;

/**
 * Mails the shop's owner the changes since the last digest. The mail and the time up to which it
 * goes are one transaction: no order is reported twice or left out, even after a crash.
 */
export default internalMutation({
  args: {},
  async handler(ctx) {
    const to = ctx.env["DIGEST_TO"] ?? "";
    const upTo = new Date(ctx.now).toISOString();
    const [last] = await ctx.db.query("Digest", { $limit: 1 });
    const changed = { $gte: last?.upTo ?? new Date(0).toISOString(), $lt: upTo };
    const orders = await ctx.db.aggregate("Order", {
      count: true,
      groupBy: ["status"],
      where: { updatedAt: changed },
      order: { status: "asc" },
    });
    const soldOut = await ctx.db.query("Product", {
      stock: 0,
      $order: { name: "asc" },
      $limit: MAX_SOLD_OUT,
    });
    if (to === "" || orders.length === 0) return;
    const lines = [
      ...orders.map(({ status, count }) => `${String(count)} ${String(status)}`),
      ...soldOut.map(({ name }) => `Sold out: ${name}`),
    ];
    await ctx.email.send({
      to,
      subject: `Your orders of ${upTo.slice(0, 10)}`,
      text: lines.join("\n"),
      html: html`<ul>
        ${lines.map((line) => html`<li>${line}</li>`)}
      </ul>`,
    });
    if (last === undefined) await ctx.db.insert("Digest", { upTo });
    else await ctx.db.update("Digest", last.id, { upTo });
  },
});
