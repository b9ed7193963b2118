import { escapeHtml } from "../../util/escape-html.ts";

/** The contents of the page that asks a user for access. */
export interface ConsentPage {
  readonly appName: string;
  readonly clientName: string;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  /** The user who is signed in: an email address or an id. */
  readonly user: string;
  /** Proves that a submitted form comes from this page. */
  readonly token: string;
}

const SCOPE_TEXTS: Readonly<Record<string, string>> = {
  read: "Read the data that you may read",
  write: "Add, change and delete the data that you may change",
  functions: "Use the functions that you may use",
  files: "Use your files",
};

/** Asks the signed-in user whether a client may act for them. Works without JavaScript. */
export function consentPage(page: ConsentPage): Response {
  const { redirectUri } = page;
  const [client, app] = [escapeHtml(page.clientName), escapeHtml(page.appName)];
  const { host, hostname, origin } = new URL(redirectUri);
  const place = isThisMachine(hostname) ? "a program on this computer" : host;
  const scopes = page.scopes.map((scope) => `<li>${escapeHtml(textOf(scope))}</li>`).join("");
  const main = [
    `<header class="pylon-head"><p class="pylon-sub">${app}</p>`,
    `<h1>Give access to ${client}?</h1></header>`,
    `<p class="pylon-note">${client} wants to act for you in ${app}. `,
    "Its name is its own claim: continue only if you have just started to connect it.</p>",
    `<p class="pylon-note">You are signed in as <b>${escapeHtml(page.user)}</b>. `,
    `The answer is sent to <b>${escapeHtml(place)}</b> (${escapeHtml(host)}).</p>`,
    `<ul class="pylon-list">${scopes}</ul>`,
    '<form class="pylon-form" method="post" action="/auth/authorize">',
    `<input type="hidden" name="token" value="${escapeHtml(page.token)}">`,
    '<button class="pylon-button" name="decision" value="allow">Allow</button>',
    '<button class="pylon-button pylon-plain" name="decision" value="deny">Deny</button></form>',
  ].join("");
  // Browsers also check the redirect of the form's response against form-action, which can't
  // contain an IPv6 address.
  const target = hostname.startsWith("[") ? "http:" : origin;
  return htmlOf(app, "Give access", main, 200, `'self' ${target}`);
}

/** Tells the user why a client's request for access is rejected. */
export function consentFailurePage(appName: string, message: string, status: number): Response {
  const app = escapeHtml(appName);
  const main = [
    `<header class="pylon-head"><p class="pylon-sub">${app}</p>`,
    "<h1>This request for access is not valid</h1></header>",
    `<p class="pylon-error">${escapeHtml(message)}</p>`,
  ].join("");
  return htmlOf(app, "Request not valid", main, status, "'none'");
}

function htmlOf(
  app: string,
  title: string,
  main: string,
  status: number,
  formAction: string,
): Response {
  const html = [
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${title} - ${app}</title>`,
    '<link rel="stylesheet" href="/auth/assets/auth.css"></head>\n',
    `<body class="pylon-page"><main class="pylon-auth">${main}</main></body>\n</html>`,
  ].join("");
  return new Response(html, {
    status,
    headers: {
      "Content-Type": "text/html; charset=utf-8",
      "Cache-Control": "no-store",
      // Without a referrer a browser would send the form with the origin "null".
      "Referrer-Policy": "same-origin",
      "X-Frame-Options": "DENY",
      "Content-Security-Policy": [
        "default-src 'none'",
        "style-src 'self'",
        `form-action ${formAction}`,
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    },
  });
}

function textOf(scope: string): string {
  const [kind = "", name = "", access] = scope.split(":");
  if (kind === "functions" && name !== "") return `Use the function ${name}`;
  if (kind === "entities")
    return access === "read" ? `Read ${name}` : `Add, change and delete ${name}`;
  return SCOPE_TEXTS[scope] ?? scope;
}

function isThisMachine(hostname: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
}
