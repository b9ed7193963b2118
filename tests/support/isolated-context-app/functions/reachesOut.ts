import { action, html, v } from "@pylonsync/functions";
import { codeOf } from "./_code-of.ts";

/** Requests a URL, sends a mail, writes to the log. */
export default action({
  args: { url: v.string(), to: v.string() },
  handler: async (ctx, { url, to }) => {
    const answer = await ctx.fetch(url, { method: "POST", body: "ping" });
    const refused = await codeOf(() => ctx.fetch("file:///etc/passwd"));
    const lost = await codeOf(() => ctx.fetch("http://127.0.0.1:1/"));
    ctx.log.error("stock is low", { item: "milk", odd: (() => 1) as never });
    const jobId = await ctx.email.send({
      to,
      subject: "Hello",
      text: "Read the other part.",
      html: html`<p>${"<b>"}</p>`,
    });
    const badMail = await codeOf(() => ctx.email.send({ to: "x", subject: "s", text: "t" }));
    const status = answer.status;
    return { status, body: await answer.text(), refused, lost: lost !== null, badMail, jobId };
  },
});
