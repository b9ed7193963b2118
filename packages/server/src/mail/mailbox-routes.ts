import { DEV_PAGE_STYLE } from "../request/dev-page-style.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { DevMailbox, ReceivedMail } from "./dev-mailbox.ts";
import { escapeHtml } from "../util/escape-html.ts";
import script from "./mailbox.text.js" with { type: "text" };

const POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  "script-src 'self'",
  "connect-src 'self'",
  "frame-src 'self'",
].join("; ");

/** The page of mails that dev mode did not send. */
export function mailboxRoutes(mailbox: DevMailbox): Route[] {
  const page = (): Answer =>
    new Response(pageOf(mailbox.mails), {
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": POLICY,
      },
    });
  const asset = (): Answer =>
    new Response(script, {
      headers: { "Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "no-cache" },
    });
  return [
    { method: "GET", path: "/studio/mail", access: "admin-or-dev", quiet: true, handle: page },
    {
      method: "GET",
      path: "/studio/mail.json",
      access: "admin-or-dev",
      quiet: true,
      handle: () => json(mailbox.mails),
    },
    { method: "GET", path: "/studio/mail.js", access: "admin-or-dev", quiet: true, handle: asset },
  ];
}

function pageOf(mails: readonly ReceivedMail[]): string {
  const body =
    mails.length === 0
      ? '<p class="empty none">No mail yet. Mails that your app sends in dev mode appear here.</p>'
      : mails.map(mailOf).join("");
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width"><title>Mail</title>',
    `<style>${STYLE}</style><script type="module" src="/studio/mail.js"></script>`,
    '<main><nav><a href="/studio">Studio</a></nav>',
    `<h1>Mail <small>${mails.length}</small></h1>${body}</main></html>`,
  ].join("");
}

/**
 * The HTML part runs no scripts and sends no requests: it is in a frame that may only open its
 * links, in separate tabs.
 */
function mailOf({ id, to, subject, text, html, at }: ReceivedMail, index: number): string {
  return [
    `<details data-mail="${id} ${escapeHtml(at)}"${index === 0 ? " open" : ""}>`,
    `<summary><b>${escapeHtml(subject)}</b>`,
    `<span>to ${escapeHtml(to)} <time>${at.slice(11, 19)}</time></span></summary>`,
    `<pre>${linked(text)}</pre>`,
    '<iframe title="HTML part" sandbox="allow-popups allow-popups-to-escape-sandbox"',
    ` srcdoc="${escapeHtml(withLinksOutside(html))}"></iframe></details>`,
  ].join("");
}

/** After the doctype, which must come first. */
function withLinksOutside(html: string): string {
  return html.replace(/^(\s*<!doctype[^>]*>)?/i, (doctype) => `${doctype}<base target="_blank">`);
}

function linked(text: string): string {
  return escapeHtml(text).replaceAll(
    /https?:\/\/[^\s<]+/g,
    (url) => `<a href="${url}" target="_blank" rel="noreferrer">${url}</a>`,
  );
}

const STYLE = [
  DEV_PAGE_STYLE,
  "nav{margin:0 0 .4rem}",
  "summary span{color:var(--soft)}",
  "details{border:1px solid var(--line);border-radius:10px;margin:.6rem 0;overflow:hidden}\n",
  "summary{display:flex;justify-content:space-between;gap:1rem;flex-wrap:wrap;padding:.7rem 1rem;",
  "cursor:pointer;list-style:none}",
  "pre{margin:0;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;",
  "font:14px/1.6 ui-monospace,monospace;",
  "background:color-mix(in srgb,CanvasText 4%,transparent)}\n",
  "iframe{display:block;width:100%;height:300px;border:0;background:Canvas}",
].join("");
