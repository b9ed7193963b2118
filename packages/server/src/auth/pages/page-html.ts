import { providerLabel, providerLogo } from "@pylonsync/protocol";
import { OAUTH_PROVIDERS } from "../../config/oauth-providers.ts";
import { escapeHtml } from "../../util/escape-html.ts";

/** Hidden: it tells password managers which user's password the form is about. */
const USERNAME = '<input name="username" autocomplete="username" hidden readonly>';

const PASSKEY_LOGO = [
  '<svg class="pylon-logo" viewBox="0 0 24 24" aria-hidden="true">',
  '<path d="M15 9h.01M14 3a7 7 0 1 1-2.6 13.5L9 19H6v3H2v-4l7.5-7.5A7 7 0 0 1 14 3z" fill="none"',
  ' stroke="currentColor" stroke-width="2" stroke-linejoin="round" stroke-linecap="round">',
  "</path></svg>",
].join("");

/** The pages under /auth, by their name in the URL. */
export const PAGES = {
  "sign-in": {
    title: "Sign in",
    body: [
      ways(
        '<button type="button" class="pylon-button pylon-plain" id="passkey">',
        `${PASSKEY_LOGO}Use a passkey</button>`,
      ),
      step(
        "password",
        form(
          "password",
          email("password"),
          password("password", "current-password"),
          send("Sign in"),
        ),
      ),
      hiddenStep("send-code", form("send-code", email("send-code"), send("Send me a code"))),
      hiddenStep("code", form("code", code("code"), send("Sign in"))),
      hiddenStep(
        "factor",
        form(
          "factor",
          '<p class="pylon-note">Enter the code from your authenticator app, or a backup code.</p>',
          code("factor"),
          '<label class="pylon-check"><input type="checkbox" name="trust">',
          " Don't ask again on this device</label>",
          send("Continue"),
        ),
      ),
      nav(
        '<button type="button" class="pylon-link" data-show="send-code">',
        "Use an emailed code</button>",
        link("forgot", "Forgot password?"),
        other("No account yet?", link("sign-up", "Create an account")),
      ),
    ].join(""),
  },
  "sign-up": {
    title: "Create an account",
    body: [
      ways(),
      step(
        "sign-up",
        form(
          "sign-up",
          field(
            "sign-up",
            "Name",
            'name="displayName" autocomplete="name" maxlength="200" required',
          ),
          email("sign-up"),
          password("sign-up", "new-password"),
          send("Create the account"),
        ),
      ),
      hiddenStep("confirm", form("confirm", code("confirm"), send("Confirm"))),
      nav(other("Already have an account?", link("sign-in", "Sign in"))),
    ].join(""),
  },
  forgot: {
    title: "Reset the password",
    body: [
      step("forgot", form("forgot", email("forgot"), send("Send me a link"))),
      nav(link("sign-in", "Back")),
    ].join(""),
  },
  reset: {
    title: "Choose a new password",
    body: [
      step("reset", form("reset", password("reset", "new-password"), send("Change the password"))),
      hiddenStep("done"),
      nav(link("sign-in", "Sign in")),
    ].join(""),
  },
  invitation: {
    title: "You have been invited",
    body: [
      step(
        "invitation",
        [
          '<p class="pylon-offer" id="offer" hidden></p>',
          '<p class="pylon-note" id="invited">',
          "Sign in with the invited email address, then accept.</p>",
          form("invitation", send("Accept")),
          nav(link("sign-in", "Sign in in a new tab", ' target="_blank"')),
        ].join(""),
      ),
      hiddenStep("verify", form("verify", code("verify"), send("Verify and accept"))),
    ].join(""),
  },
  account: {
    title: "Your account",
    body: accountBody(),
  },
} as const;

/** The name of a page in the URL. */
export type PageName = keyof typeof PAGES;

/** Whether there is a page with this name. */
export function isPageName(name: string): name is PageName {
  return Object.hasOwn(PAGES, name);
}

/**
 * Returns the HTML of one of the server's own pages.
 *
 * @param redirect where a sign-in, and the way back from the account page, lead to; already checked
 * @param problem why a sign-in that returned to this page has failed; null if none has
 */
export function pageHtml(
  name: PageName,
  appName: string,
  redirect: string,
  problem: string | null,
): string {
  const { title, body } = PAGES[name];
  const app = escapeHtml(appName);
  const backLink =
    name === "account"
      ? nav(`<a class="pylon-link" href="${escapeHtml(redirect)}">Back to ${app}</a>`)
      : "";
  const heading = escapeHtml(title);
  const data = problem === null ? "" : ` data-problem="${escapeHtml(problem)}"`;
  return [
    '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="referrer" content="no-referrer">',
    `<title>${heading} - ${app}</title>`,
    '<link rel="stylesheet" href="/auth/assets/auth.css">',
    '<script type="module" src="/auth/assets/auth.js"></script></head>\n',
    `<body class="pylon-page"><main class="${name === "account" ? "pylon-account" : "pylon-auth"}"`,
    ` data-redirect="${escapeHtml(redirect)}"${data}>`,
    `<header class="pylon-head"><p class="pylon-sub">${app}</p>`,
    `<h1>${heading}</h1>`,
    name === "account" ? '<p class="pylon-sub" id="who"></p>' : "",
    "</header>",
    '<noscript><p class="pylon-error">This page needs JavaScript.</p></noscript>',
    '<p class="pylon-note" role="status" aria-live="polite"></p>',
    `${body}${backLink}</main>${logoTemplates(name)}</body>\n</html>`,
  ].join("");
}

/** The script fills in the user's data once the server has returned it. */
function accountBody(): string {
  return [
    section(
      "Connected accounts",
      ' id="accounts" hidden',
      '<ul class="pylon-list" id="linked"></ul><div class="pylon-connect" id="linkable"></div>',
    ),
    section(
      "Password",
      "",
      '<div class="pylon-loading" id="loading" aria-hidden="true"></div>',
      '<p class="pylon-note" id="no-password" hidden>You sign in without a password.</p>',
      '<form id="change" class="pylon-form" hidden>',
      USERNAME,
      '<div class="pylon-field" id="current"><label for="change-current">Current password</label>',
      '<input id="change-current" type="password" name="current_password"',
      ' autocomplete="current-password"></div>',
      '<div class="pylon-field"><label for="change-new">New password</label>',
      '<input id="change-new" type="password" name="new_password"',
      ' autocomplete="new-password" minlength="8" required></div>',
      send("Change the password"),
      "</form>",
    ),
    section(
      "Passkeys",
      "",
      '<ul class="pylon-list" id="passkeys"></ul>',
      '<button type="button" class="pylon-button pylon-plain" id="add-passkey">',
      "Add a passkey</button>",
    ),
    section("Devices", "", '<ul class="pylon-list" id="devices"></ul>'),
    section(
      "Sign out",
      "",
      '<button type="button" class="pylon-button pylon-plain" id="sign-out">Sign out</button>',
    ),
    section("Delete the account", "", deletion()),
  ].join("");
}

function deletion(): string {
  return [
    '<form id="leave" class="pylon-form" hidden>',
    USERNAME,
    '<div class="pylon-field" id="leave-password"><label for="leave-by-password">Password</label>',
    '<input id="leave-by-password" type="password" name="password"',
    ' autocomplete="current-password"></div>',
    '<div class="pylon-field" id="leave-word">',
    '<label for="leave-by-word">Type <b>delete</b> to confirm</label>',
    '<input id="leave-by-word" name="word" autocomplete="off"',
    ' autocapitalize="none" spellcheck="false" pattern="delete" title="delete"></div>',
    '<button class="pylon-button pylon-danger">Delete my account</button></form>',
    '<div class="pylon-form" id="leave-again" hidden>',
    '<p class="pylon-note">Sign in again to delete your account.</p>',
    '<div class="pylon-providers" id="leave-providers"></div>',
    '<a class="pylon-link" id="leave-sign-in">Sign in another way</a></div>',
  ].join("");
}

/** The logos that the script may need, in templates, which browsers do not render. */
function logoTemplates(name: PageName): string {
  if (!["sign-in", "sign-up", "account"].includes(name)) return "";
  return OAUTH_PROVIDERS.flatMap((provider) => {
    const shapes = providerLogo(provider);
    if (shapes === null) return [];
    const paths = shapes.map(
      ({ path, fill = "currentColor" }) => `<path d="${path}" fill="${fill}"></path>`,
    );
    return [
      `<template data-logo="${provider}" data-label="${providerLabel(provider)}">`,
      `<svg class="pylon-logo" viewBox="0 0 24 24" aria-hidden="true">${paths.join("")}</svg>`,
      "</template>",
    ];
  }).join("");
}

/** The sign-in methods that need no typing, and the line below them. */
function ways(...buttons: readonly string[]): string {
  return [
    '<div class="pylon-ways" data-first><div class="pylon-providers" id="providers"></div>',
    `${buttons.join("")}</div><p class="pylon-divider" data-first>or</p>`,
  ].join("");
}

function section(title: string, attributes: string, ...content: readonly string[]): string {
  return [
    `<section class="pylon-section" aria-label="${title}"${attributes}>`,
    `<h2>${title}</h2>${content.join("")}</section>`,
  ].join("");
}

/** Not of the type `email`: there, browsers reject non-ASCII letters before the `@`. */
function email(of: string): string {
  return field(
    of,
    "E-mail",
    'type="text" inputmode="email" autocapitalize="none" spellcheck="false"' +
      ' name="email" autocomplete="username" required maxlength="254"',
  );
}

function password(of: string, autocomplete: "current-password" | "new-password"): string {
  const rule = autocomplete === "new-password" ? ' minlength="8"' : "";
  return field(
    of,
    "Password",
    `type="password" name="password" autocomplete="${autocomplete}"` +
      ` required maxlength="256"${rule}`,
  );
}

function code(of: string): string {
  return field(
    of,
    "Code",
    'name="code" autocomplete="one-time-code" inputmode="text" required maxlength="64"',
  );
}

/** @param of the form, because a page has the same field in several of them */
function field(of: string, label: string, attributes: string): string {
  const id = `${of}-${label.toLowerCase()}`;
  return [
    `<div class="pylon-field"><label for="${id}">${label}</label>`,
    `<input id="${id}" ${attributes}></div>`,
  ].join("");
}

function link(page: string, text: string, attributes = ""): string {
  return `<a class="pylon-link" href="/auth/${page}"${attributes}>${text}</a>`;
}

function nav(...links: readonly string[]): string {
  return `<nav class="pylon-links">${links.join("")}</nav>`;
}

/** The way from one of the forms to the other. */
function other(question: string, way: string): string {
  return `<p class="pylon-other">${question} ${way}</p>`;
}

function form(id: string, ...parts: readonly string[]): string {
  return `<form id="${id}" class="pylon-form">${parts.join("")}</form>`;
}

function send(text: string): string {
  return `<button class="pylon-button">${text}</button>`;
}

/** A part of the page that the script shows and hides. */
function step(name: string, content: string): string {
  return `<div class="pylon-step" data-step="${name}">${content}</div>`;
}

function hiddenStep(name: string, content = ""): string {
  return `<div class="pylon-step" data-step="${name}" hidden>${content}</div>`;
}
