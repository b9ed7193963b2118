import { escapeHtml } from "../../util/escape-html.ts";

/** The contents of the page for a mailed link. */
export interface LinkPage {
  readonly appName: string;
  readonly email: string;
  readonly token: string;
  /** The URL that the browser is redirected to afterwards. */
  readonly callback: string;
}

/**
 * The page for a mailed link that is opened in another browser than the one that requested it: it
 * asks whether to sign in. It needs no script.
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
      // Without a referrer a browser would send the form with the origin "null".
      "Referrer-Policy": "same-origin",
      // Browsers also check the redirect of the form's response against form-action.
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
