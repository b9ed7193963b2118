import { escapeHtml } from "../../util/escape-html.ts";

/** Not shown: tells password managers whose password the form is about. */
const USERNAME = '<input name="username" autocomplete="username" hidden readonly>';

/** The pages under /auth, by their name in the URL. */
export const PAGES = {
  "sign-in": {
    title: "Sign in",
    body: [
      '<div id="providers"></div>',
      '<button type="button" class="plain wide" id="passkey">Use a passkey</button>',
      step("password", form("password", email(), password("current-password"), send("Sign in"))),
      hiddenStep("send-code", form("send-code", email(), send("Send me a code"))),
      hiddenStep("code", form("code", code(), send("Sign in"))),
      hiddenStep(
        "factor",
        form(
          "factor",
          "<p>Enter the code of your authenticator app, or a backup code.</p>",
          code(),
          '<label class="check"><input type="checkbox" name="trust">',
          " Do not ask again on this device</label>",
          send("Go on"),
        ),
      ),
      "<nav>",
      '<button type="button" class="link" data-show="send-code">Use a code by mail</button>',
      link("forgot", "Forgot the password?"),
      link("sign-up", "Create an account"),
      "</nav>",
    ].join(""),
  },
  "sign-up": {
    title: "Create an account",
    body: [
      '<div id="providers"></div>',
      step(
        "sign-up",
        form(
          "sign-up",
          '<label>Name<input name="displayName" autocomplete="name" maxlength="200" required>',
          "</label>",
          email(),
          password("new-password"),
          send("Create the account"),
        ),
      ),
      hiddenStep("confirm", form("confirm", code(), send("Confirm"))),
      `<nav>${link("sign-in", "I have an account")}</nav>`,
    ].join(""),
  },
  forgot: {
    title: "Reset the password",
    body: [
      step("forgot", form("forgot", email(), send("Send me a link"))),
      `<nav>${link("sign-in", "Back")}</nav>`,
    ].join(""),
  },
  reset: {
    title: "Choose a new password",
    body: [
      step("reset", form("reset", password("new-password"), send("Change the password"))),
      hiddenStep("done"),
      `<nav>${link("sign-in", "Sign in")}</nav>`,
    ].join(""),
  },
  invitation: {
    title: "You are invited",
    body: [
      "<p>Sign in with the address that was invited, then accept.</p>",
      form("invitation", send("Accept")),
      `<nav>${link("sign-in", "Sign in in another tab", ' target="_blank"')}</nav>`,
    ].join(""),
  },
  account: {
    title: "Your account",
    body: [
      '<p class="sub" id="who"></p>',
      '<h2>Devices</h2><ul id="devices"></ul>',
      "<h2>Password</h2>",
      form(
        "change",
        USERNAME,
        '<label id="current">Current password<input type="password" name="current_password"',
        ' autocomplete="current-password"></label>',
        '<label>New password<input type="password" name="new_password"',
        ' autocomplete="new-password" minlength="8" required></label>',
        send("Change"),
      ),
      "<h2>Passkeys</h2>",
      '<button type="button" class="plain wide" id="add-passkey">Add a passkey</button>',
      "<h2>Delete the account</h2>",
      '<form id="leave" hidden>',
      USERNAME,
      '<label id="leave-password">Password<input type="password" name="password"',
      ' autocomplete="current-password"></label>',
      '<label id="leave-word">Type <b>delete</b> to confirm<input name="word" autocomplete="off"',
      ' autocapitalize="none" spellcheck="false" pattern="delete" title="delete"></label>',
      '<button class="danger">Delete my account</button></form>',
      '<div id="leave-again" hidden><p class="sub">Sign in again to delete your account.</p>',
      '<div id="leave-providers"></div>',
      '<nav><a id="leave-sign-in">Sign in another way</a></nav></div>',
      '<nav><button type="button" class="plain" id="sign-out">Sign out</button></nav>',
    ].join(""),
  },
} as const;

/** The name of a page in the URL. */
export type PageName = keyof typeof PAGES;

/** Whether there is a page of this name. */
export function isPageName(name: string): name is PageName {
  return Object.hasOwn(PAGES, name);
}

/**
 * A page of the server's own, whole.
 *
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
  const heading = escapeHtml(title);
  const app = escapeHtml(appName);
  const data = problem === null ? "" : ` data-problem="${escapeHtml(problem)}"`;
  return [
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${heading} - ${app}</title>`,
    '<link rel="stylesheet" href="/auth/assets/auth.css">',
    '<script type="module" src="/auth/assets/auth.js"></script></head>\n',
    `<body><main data-redirect="${escapeHtml(redirect)}"${data}>`,
    `<p class="sub">${app}</p><h1>${heading}</h1>`,
    '<noscript><p class="error">This page needs JavaScript.</p></noscript>',
    '<p role="status" aria-live="polite"></p>',
    `${body}${wayBack}</main></body>\n</html>`,
  ].join("");
}

/** Not of the type `email`: browsers refuse letters outside of ASCII in front of the `@` there. */
function email(): string {
  return (
    '<label>E-mail<input type="text" inputmode="email" autocapitalize="none" spellcheck="false"' +
    ' name="email" autocomplete="username" required maxlength="254"></label>'
  );
}

function password(autocomplete: "current-password" | "new-password"): string {
  const rule = autocomplete === "new-password" ? ' minlength="8"' : "";
  return (
    `<label>Password<input type="password" name="password" autocomplete="${autocomplete}"` +
    ` required maxlength="256"${rule}></label>`
  );
}

function code(): string {
  return (
    '<label>Code<input name="code" autocomplete="one-time-code" inputmode="text" required' +
    ' maxlength="64"></label>'
  );
}

function link(page: string, text: string, attributes = ""): string {
  return `<a href="/auth/${page}"${attributes}>${text}</a>`;
}

function form(id: string, ...parts: readonly string[]): string {
  return `<form id="${id}">${parts.join("")}</form>`;
}

function send(text: string): string {
  return `<button>${text}</button>`;
}

/** A part of the page that the script shows and hides. */
function step(name: string, content: string): string {
  return `<div data-step="${name}">${content}</div>`;
}

function hiddenStep(name: string, content = ""): string {
  return `<div data-step="${name}" hidden>${content}</div>`;
}
