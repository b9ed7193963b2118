import { escapeHtml } from "../../util/escape-html.ts";

/** Not shown: tells password managers whose password the form is about. */
const USERNAME = '<input name="username" autocomplete="username" hidden readonly>';

/** The pages under /auth, by their name in the URL. */
export const PAGES = {
  "sign-in": {
    title: "Sign in",
    body: `
<div id="providers"></div><button type="button" class="plain wide" id="passkey">Use a passkey</button>
<div data-step="password"><form id="password">${email()}${password("current-password")}<button>Sign in</button></form></div>
<div data-step="send-code" hidden><form id="send-code">${email()}<button>Send me a code</button></form></div>
<div data-step="code" hidden><form id="code">${code()}<button>Sign in</button></form></div>
<div data-step="factor" hidden><form id="factor"><p>Enter the code of your authenticator app, or a backup code.</p>${code()}<label class="check"><input type="checkbox" name="trust"> Do not ask again on this device</label><button>Go on</button></form></div>
<nav><button type="button" class="link" data-show="send-code">Use a code by mail</button>${link("forgot", "Forgot the password?")}${link("sign-up", "Create an account")}</nav>`,
  },
  "sign-up": {
    title: "Create an account",
    body: `
<div id="providers"></div>
<div data-step="sign-up"><form id="sign-up"><label>Name<input name="displayName" autocomplete="name" maxlength="200" required></label>${email()}${password("new-password")}<button>Create the account</button></form></div>
<div data-step="confirm" hidden><form id="confirm">${code()}<button>Confirm</button></form></div>
<nav>${link("sign-in", "I have an account")}</nav>`,
  },
  forgot: {
    title: "Reset the password",
    body: `<div data-step="forgot"><form id="forgot">${email()}<button>Send me a link</button></form></div><nav>${link("sign-in", "Back")}</nav>`,
  },
  reset: {
    title: "Choose a new password",
    body: `<div data-step="reset"><form id="reset">${password("new-password")}<button>Change the password</button></form></div><div data-step="done" hidden></div><nav>${link("sign-in", "Sign in")}</nav>`,
  },
  invitation: {
    title: "You are invited",
    body: `<p>Sign in with the address that was invited, then accept.</p><form id="invitation"><button>Accept</button></form><nav>${link("sign-in", "Sign in in another tab", ' target="_blank"')}</nav>`,
  },
  account: {
    title: "Your account",
    body: `
<p class="sub" id="who"></p>
<h2>Devices</h2><ul id="devices"></ul>
<h2>Password</h2><form id="change">${USERNAME}<label id="current">Current password<input type="password" name="current_password" autocomplete="current-password"></label><label>New password<input type="password" name="new_password" autocomplete="new-password" minlength="8" required></label><button>Change</button></form>
<h2>Passkeys</h2><button type="button" class="plain wide" id="add-passkey">Add a passkey</button>
<h2>Delete the account</h2><form id="leave" hidden>${USERNAME}<label id="leave-password">Password<input type="password" name="password" autocomplete="current-password"></label><label id="leave-word">Type <b>delete</b> to confirm<input name="word" autocomplete="off" autocapitalize="none" spellcheck="false" pattern="delete" title="delete"></label><button class="danger">Delete my account</button></form>
<div id="leave-again" hidden><p class="sub">Sign in again to delete your account.</p><div id="leave-providers"></div><nav><a id="leave-sign-in">Sign in another way</a></nav></div>
<nav><button type="button" class="plain" id="sign-out">Sign out</button></nav>`,
  },
} as const;

export type PageName = keyof typeof PAGES;

/**
 * @param redirect where a sign-in, and the way back from the account, lead to; checked before
 * @param problem why a sign-in that came back here has failed; null where none has
 */
export function pageHtml(
  name: PageName,
  appName: string,
  redirect: string,
  problem: string | null,
): string {
  const { title, body } = PAGES[name];
  const wayBack =
    name === "account"
      ? `<nav><a href="${escapeHtml(redirect)}">Back to ${escapeHtml(appName)}</a></nav>`
      : "";
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><title>${escapeHtml(title)} - ${escapeHtml(appName)}</title><link rel="stylesheet" href="/auth/assets/auth.css"><script type="module" src="/auth/assets/auth.js"></script></head>
<body><main data-redirect="${escapeHtml(redirect)}"${problem === null ? "" : ` data-problem="${escapeHtml(problem)}"`}><p class="sub">${escapeHtml(appName)}</p><h1>${escapeHtml(title)}</h1><noscript><p class="error">This page needs JavaScript.</p></noscript><p role="status" aria-live="polite"></p>${body}${wayBack}</main></body>
</html>`;
}

/** Not of the type `email`: browsers refuse letters outside of ASCII in front of the `@` there. */
function email(): string {
  return `<label>E-mail<input type="text" inputmode="email" autocapitalize="none" spellcheck="false" name="email" autocomplete="username" required maxlength="254"></label>`;
}

function password(autocomplete: "current-password" | "new-password"): string {
  const rule = autocomplete === "new-password" ? ' minlength="8"' : "";
  return `<label>Password<input type="password" name="password" autocomplete="${autocomplete}" required maxlength="256"${rule}></label>`;
}

function code(): string {
  return `<label>Code<input name="code" autocomplete="one-time-code" inputmode="text" required maxlength="64"></label>`;
}

function link(page: string, text: string, attributes = ""): string {
  return `<a href="/auth/${page}"${attributes}>${text}</a>`;
}
