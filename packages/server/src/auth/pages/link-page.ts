import { escapeHtml } from "../../util/escape-html.ts";

/** What the page about a link in a mail shows. */
export interface LinkPage {
  readonly appName: string;
  readonly email: string;
  readonly token: string;
  /** Where the browser is sent to then. */
  readonly callback: string;
}

/**
 * Asks the person who opened a link in a mail, in another browser than the one that asked for it,
 * whether to sign in. No script is needed.
 */
export function linkPage({ appName, email, token, callback }: LinkPage): Response {
  const app = escapeHtml(appName);
  const html = [
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Sign in - ${app}</title>`,
    '<link rel="stylesheet" href="/auth/assets/auth.css"></head>\n',
    '<body class="pylon-page"><main class="pylon-auth">',
    `<header class="pylon-head"><p class="pylon-sub">${app}</p>`,
    '<h1>Sign in</h1></header><p class="pylon-note">',
    "This browser did not request the link. Continue only if you requested it yourself, " +
      "and the address is yours.",
    '</p><form class="pylon-form" method="post" action="/api/auth/magic-link/verify">',
    `<input type="hidden" name="token" value="${escapeHtml(token)}">`,
    `<button class="pylon-button">Sign in as ${escapeHtml(email)}</button></form>`,
    "</main></body>\n</html>",
  ].join("");
  return new Response(html, {
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      // With no referrer at all a browser would send the form with the origin "null".
      "Referrer-Policy": "same-origin",
      // A browser also holds the place that the form's answer leads to against form-action.
      "Content-Security-Policy": [
        "default-src 'none'",
        "style-src 'self'",
        `form-action 'self' ${new URL(callback).origin}`,
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    },
  });
}
