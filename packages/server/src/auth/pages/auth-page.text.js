// The script of the pages under /auth: sends their forms to the API and shows the responses. It
// needs no framework and no build.
// @ts-check
"use strict";

const main = find("main");
const message = find("[role=status]");
const redirect = main.dataset.redirect ?? "/";
const secret = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

/**
 * Returns the page's element for this selector, which page-html.ts renders.
 *
 * @param {string} selector @param {ParentNode} [root]
 */
function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (found instanceof HTMLElement) return found;
  throw new Error(`This page has no ${selector}.`);
}

/** An error response of the server, with its code. */
class Refusal extends Error {
  /** @param {Partial<Record<"message" | "code" | "field" | "hint" | "mfa_token", string>>} error */
  constructor({ message: text, code, field, hint, mfa_token: token }) {
    super(text ?? "The server sent an unexpected response.");
    this.code = code;
    this.field = field;
    this.hint = hint;
    this.mfaToken = token;
  }
}

/** @param {unknown} error */
function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {string} method @param {string} path @param {unknown} [body] */
async function call(method, path, body) {
  /** @type {RequestInit} */
  const init = {
    method,
    credentials: "same-origin",
    ...(body === undefined
      ? {}
      : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  };
  const response = await fetch(`/api/auth${path}`, init).catch((cause) => {
    throw new Error("The server can't be reached. Try again.", { cause });
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Refusal(answer.error ?? {});
}

/** @param {string} text @param {boolean} [isError] */
function say(text, isError = false) {
  message.textContent = text;
  message.className = isError ? "pylon-error" : "pylon-note";
}

/** @param {string} name */
function show(name) {
  for (const part of document.querySelectorAll("[data-step]"))
    part.toggleAttribute("hidden", part.getAttribute("data-step") !== name);
  // While a sign-in is in progress, no other one can be started.
  const isBegun = ["code", "factor", "confirm"].includes(name);
  for (const part of document.querySelectorAll("[data-first]"))
    part.toggleAttribute("hidden", isBegun);
  const step = document.querySelector(`[data-step="${name}"]`);
  const input = step?.querySelector("input:not([type=hidden])");
  if (input instanceof HTMLElement) input.focus();
}

/** @param {string} id @param {(values: Record<string, string>) => Promise<void>} act */
function onSubmit(id, act) {
  const form = document.getElementById(id);
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("button[type=submit], button:not([type])", form);
    button.toggleAttribute("disabled", true);
    button.setAttribute("aria-busy", "true");
    say("");
    for (const input of form.querySelectorAll("[aria-invalid]")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    for (const problem of form.querySelectorAll(".pylon-field .pylon-error")) problem.remove();
    try {
      const values = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
      await act(Object.fromEntries(values));
    } catch (error) {
      refused(form, error);
    } finally {
      button.toggleAttribute("disabled", false);
      button.removeAttribute("aria-busy");
    }
  });
}

let mfaToken = "";
let email = "";

/** @param {HTMLFormElement} form @param {unknown} error */
function refused(form, error) {
  if (!(error instanceof Refusal)) return say(textOf(error), true);
  if (error.code === "MFA_REQUIRED") {
    mfaToken = error.mfaToken ?? "";
    return show("factor");
  }
  const waits = error.code === "RATE_LIMITED" && error.hint !== undefined;
  say(waits ? `${error.message} ${error.hint}` : error.message, true);
  const field = error.field === undefined ? null : fieldOf(form, error.field);
  if (!(field instanceof HTMLInputElement)) return;
  const problem = document.createElement("p");
  problem.className = "pylon-error";
  problem.id = `${field.id}-problem`;
  problem.textContent = message.textContent;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", problem.id);
  field.after(problem);
  // Screen readers announce it from there; it is visible at its field.
  message.className = "pylon-unseen";
  field.focus();
}

/** Errors of a password name the field `password`, whatever its field is called here. */
function fieldOf(/** @type {HTMLFormElement} */ form, /** @type {string} */ name) {
  return form.elements.namedItem(name) ?? form.elements.namedItem(`new_${name}`);
}

function done() {
  location.assign(redirect);
}

onSubmit("password", async (values) => {
  await call("POST", "/password/login", values);
  done();
});
onSubmit("send-code", async (values) => {
  email = values.email ?? "";
  const { dev_code: devCode } = await call("POST", "/magic/send", { email });
  show("code");
  say(
    devCode === undefined
      ? `We sent a code to ${email}.`
      : "In dev mode the code is at /studio/mail.",
  );
});
onSubmit("code", async ({ code }) => {
  await call("POST", "/magic/verify", { email, code });
  done();
});
onSubmit("factor", async ({ code, trust }) => {
  await call("POST", "/totp/verify", { mfa_token: mfaToken, code, trust_device: trust === "on" });
  done();
});
onSubmit("sign-up", async (values) => {
  const answer = await call("POST", "/password/register", values);
  if (answer.verification_required !== true) return done();
  email = values.email ?? "";
  show("confirm");
  say(`We sent a code to ${email}.`);
});
onSubmit("confirm", async ({ code }) => {
  await call("POST", "/password/register/confirm", { email, code });
  done();
});
onSubmit("forgot", async (values) => {
  await call("POST", "/password/reset/request", values);
  say(`If ${values.email} has an account, we sent a link to it.`);
});
onSubmit("reset", async ({ password }) => {
  await call("POST", "/password/reset/complete", { token: secret, password });
  show("done");
  say("Your password was changed.");
});
onSubmit("change", async ({ current_password = "", new_password = "" }) => {
  await call("POST", "/password/change", { current_password, new_password });
  const form = find("#change");
  if (form instanceof HTMLFormElement) form.reset();
  say("Your password was changed. Other devices were signed out.");
  await Promise.all([loadDevices(), loadWays()]);
});
onSubmit("leave", async ({ password }) => {
  try {
    await call("DELETE", "/account", password ? { password } : {});
  } catch (error) {
    // The ten minutes since the sign-in may have passed by now.
    const isOver = error instanceof Refusal && error.code === "FRESH_SIGN_IN_REQUIRED";
    if (isOver) return await loadWays();
    throw error;
  }
  location.assign("/auth/sign-in");
});
async function accept() {
  await call("POST", `/invites/${encodeURIComponent(secret)}/accept`);
  done();
}

onSubmit("invitation", async () => {
  try {
    await accept();
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "EMAIL_NOT_VERIFIED") throw error;
    const { dev_code: devCode } = await call("POST", "/email/send-verification");
    show("verify");
    say(
      devCode === undefined
        ? "We sent a code to your email address."
        : "In dev mode the code is at /studio/mail.",
    );
  }
});
onSubmit("verify", async ({ code }) => {
  await call("POST", "/email/verify", { code });
  await accept();
});

/** Tells what the link is for, also before a sign-in. */
async function loadOffer() {
  const offer = document.getElementById("offer");
  if (offer === null || secret === "") return;
  const { organization, role, email } = await call("GET", `/invites/${encodeURIComponent(secret)}`);
  offer.append(strong(email), " is invited to join ", strong(organization), " as ", strong(role));
  offer.append(".");
  offer.hidden = false;
}

/** @param {string} text */
function strong(text) {
  const made = document.createElement("strong");
  made.textContent = text;
  return made;
}

/** Tells who accepts: the user may have signed in in another tab meanwhile. */
async function loadInvited() {
  const note = document.getElementById("invited");
  if (note === null) return;
  const { session, user } = await call("GET", "/session");
  if (session.user_id === null || session.is_guest === true) return;
  note.textContent = `You are signed in as ${user?.email ?? session.user_id}.`;
  find("nav a").textContent = "Use another account";
}

/** Returns the address field of the visible step, if it has one. */
function shownEmail() {
  const field = document.querySelector("[data-step]:not([hidden]) [name=email]");
  return field instanceof HTMLInputElement ? field : null;
}

for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    const typed = shownEmail()?.value ?? "";
    say("");
    show(button.getAttribute("data-show") ?? "");
    const next = shownEmail();
    if (next !== null && next.value === "") next.value = typed;
  });
}

document.getElementById("passkey")?.addEventListener("click", async () => {
  try {
    const options = await call("POST", "/passkey/login/begin", {});
    const answer = await navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
    });
    if (!(answer instanceof PublicKeyCredential)) return;
    await call("POST", "/passkey/login/finish", answer.toJSON());
    done();
  } catch (error) {
    say(error instanceof DOMException ? "No passkey was used." : textOf(error), true);
  }
});
document.getElementById("add-passkey")?.addEventListener("click", async () => {
  try {
    const options = await call("POST", "/passkey/register/begin", {});
    const made = await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    });
    if (!(made instanceof PublicKeyCredential)) return;
    await call("POST", "/passkey/register/finish", {
      ...made.toJSON(),
      name: navigator.platform || "Passkey",
    });
    say("The passkey was added.");
    await loadWays();
  } catch (error) {
    say(error instanceof DOMException ? "No passkey was created." : textOf(error), true);
  }
});
document.getElementById("sign-out")?.addEventListener("click", async () => {
  try {
    await call("DELETE", "/session");
  } catch (error) {
    // If the server rejects the request, the session has ended; if it is not reached, it has not.
    const isHeard = error instanceof Refusal && error.code !== undefined;
    if (!isHeard) return say(textOf(error), true);
  }
  location.assign("/auth/sign-in");
});

/** @returns {Promise<string[]>} the names of the providers that the server is configured for */
async function providerNames() {
  const providers = await call("GET", "/providers").catch(() => []);
  return Array.isArray(providers) ? providers.map(({ provider }) => String(provider)) : [];
}

async function loadProviders() {
  const list = document.getElementById("providers");
  if (list === null) return;
  const back = `${location.pathname}?redirect=${encodeURIComponent(redirect)}`;
  for (const provider of await providerNames()) list.append(providerLink(provider, redirect, back));
  if (!("PublicKeyCredential" in window)) document.getElementById("passkey")?.remove();
  // Without any sign-in method above it, the divider is removed.
  if (list.childElementCount === 0) list.remove();
  const hasWays = document.querySelector(".pylon-ways > *") !== null;
  if (!hasWays) for (const part of document.querySelectorAll("[data-first]")) part.remove();
}

/** @param {string} provider */
function labelOf(provider) {
  return (
    templateOf(provider)?.dataset.label ?? `${provider[0]?.toUpperCase() ?? ""}${provider.slice(1)}`
  );
}

/** @param {string} provider */
function templateOf(provider) {
  const found = document.querySelector(`template[data-logo="${CSS.escape(provider)}"]`);
  return found instanceof HTMLTemplateElement ? found : null;
}

/** @param {string} provider */
function logoOf(provider) {
  const template = templateOf(provider);
  if (template !== null) return template.content.cloneNode(true);
  const letter = document.createElement("span");
  letter.className = "pylon-logo";
  letter.ariaHidden = "true";
  letter.textContent = labelOf(provider).slice(0, 1);
  return letter;
}

/**
 * Creates a button that starts a sign-in at a provider.
 *
 * @param {string} provider @param {string} callback @param {string} errorCallback
 */
function providerLink(provider, callback, errorCallback) {
  const link = document.createElement("a");
  link.className = "pylon-button pylon-plain";
  const query = new URLSearchParams({ redirect: "1", callback, error_callback: errorCallback });
  link.href = `/api/auth/login/${encodeURIComponent(provider)}?${query}`;
  link.append(logoOf(provider), `Continue with ${labelOf(provider)}`);
  return link;
}

async function loadAccount() {
  const who = document.getElementById("who");
  if (who === null) return;
  const { session, user } = await call("GET", "/session");
  if (session.user_id === null || session.is_guest === true)
    return location.assign(
      `/auth/sign-in?redirect=${encodeURIComponent(location.pathname + location.search)}`,
    );
  who.textContent = user?.email ?? session.user_id;
  for (const input of document.querySelectorAll("input[name=username]"))
    input.setAttribute("value", user?.email ?? "");
  await Promise.all([loadDevices(), loadWays()]);
}

/** Shows the sections for the user's sign-in methods, and the fields for the user's credentials. */
async function loadWays() {
  const account = await call("GET", "/account");
  await Promise.all([loadLinked(account), loadPasskeys()]);
  const byId = (/** @type {string} */ id) => find(`#${id}`);
  const hasPassword = account.has_password === true;
  const canConfirm = hasPassword || account.is_fresh === true;
  byId("loading").hidden = true;
  byId("no-password").hidden = hasPassword;
  byId("change").hidden = false;
  byId("current").hidden = !hasPassword;
  find("input", byId("current")).toggleAttribute("required", hasPassword);
  find("button", byId("change")).textContent = hasPassword
    ? "Change the password"
    : "Set a password";
  byId("leave").hidden = !canConfirm;
  byId("leave-again").hidden = canConfirm;
  const ask = (/** @type {string} */ id, /** @type {boolean} */ isAsked) => {
    byId(id).hidden = !isAsked;
    find("input", byId(id)).toggleAttribute("required", isAsked);
  };
  ask("leave-password", hasPassword);
  ask("leave-word", !hasPassword);
  const here = location.pathname + location.search;
  const again = `/auth/sign-in?redirect=${encodeURIComponent(here)}`;
  byId("leave-sign-in").setAttribute("href", again);
  byId("leave-providers").replaceChildren(
    ...account.providers.map((/** @type {string} */ provider) =>
      providerLink(provider, here, again),
    ),
  );
}

/**
 * Shows the linked accounts, and buttons to link others. The last sign-in method has no button.
 *
 * @param {Record<string, unknown>} ways
 */
async function loadLinked(ways) {
  const [accounts, providers] = await Promise.all([call("GET", "/accounts"), providerNames()]);
  const hasOther = ways.has_password || ways.has_passkey || ways.has_email_code;
  find("#linked").replaceChildren(
    ...accounts.map((/** @type {{id: string, provider: string, email?: string}} */ account) => {
      const end = button("Disconnect", `Disconnect ${labelOf(account.provider)}`, async () => {
        await call("DELETE", `/accounts/${encodeURIComponent(account.id)}`);
        await loadWays();
      });
      const name = labelOf(account.provider);
      const logo = logoOf(account.provider);
      return item(name, account.email ?? "", hasOther || accounts.length > 1 ? end : null, logo);
    }),
  );
  const linked = accounts.map((/** @type {{provider: string}} */ { provider }) => provider);
  const others = providers.filter((provider) => !linked.includes(provider));
  find("#linkable").replaceChildren(
    ...others.map((provider) => {
      const label = `Connect ${labelOf(provider)}`;
      const connect = button(label, label, () => link(provider));
      connect.prepend(logoOf(provider));
      return connect;
    }),
  );
  find("#accounts").hidden = accounts.length === 0 && others.length === 0;
}

/** @param {string} provider */
async function link(provider) {
  const here = location.pathname + location.search;
  const path = `/oauth/link/${encodeURIComponent(provider)}`;
  try {
    const { redirect: to } = await call("POST", path, { callback: here, error_callback: here });
    location.assign(to);
  } catch (error) {
    // The user signs in again, and returns to this page.
    if (!(error instanceof Refusal) || error.code !== "FRESH_SIGN_IN_REQUIRED") throw error;
    location.assign(`/auth/sign-in?redirect=${encodeURIComponent(here)}`);
  }
}

async function loadPasskeys() {
  /** @type {{id: string, name?: string}[]} */
  const keys = await call("GET", "/passkey/keys");
  find("#passkeys").replaceChildren(
    ...keys.map(({ id, name = "Passkey" }) =>
      item(
        name,
        "",
        button("Delete", `Delete the passkey ${name}`, async () => {
          await call("DELETE", `/passkey/keys/${encodeURIComponent(id)}`);
          await loadWays();
        }),
      ),
    ),
  );
}

async function loadDevices() {
  /** @type {{id: string, device: string, current: boolean, seen_at: string}[]} */
  const sessions = await call("GET", "/sessions");
  find("#devices").replaceChildren(
    ...sessions.map(({ id, device, current, seen_at: seenAt }) => {
      const name = `${nameOf(device)}${current ? " (this one)" : ""}`;
      const end = button("Sign out", `Sign out ${nameOf(device)}`, async () => {
        await call("DELETE", `/sessions/${encodeURIComponent(id)}`);
        await loadDevices();
      });
      return item(name, new Date(seenAt).toLocaleString(), current ? null : end);
    }),
  );
}

/**
 * Creates a row of a list.
 *
 * @param {string} name @param {string} detail @param {HTMLElement | null} action @param {Node}
 *   [logo]
 */
function item(name, detail, action, logo) {
  const row = document.createElement("li");
  const named = document.createElement("span");
  named.className = "pylon-named";
  const text = document.createElement("span");
  text.textContent = name;
  const small = document.createElement("small");
  small.textContent = detail;
  if (detail !== "") text.append(small);
  if (logo !== undefined) named.append(logo);
  named.append(text);
  row.append(named);
  if (action !== null) row.append(action);
  return row;
}

/** @param {string} text @param {string} label @param {() => Promise<void>} act */
function button(text, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "pylon-button pylon-plain";
  made.textContent = text;
  if (label !== text) made.ariaLabel = label;
  made.addEventListener("click", () => {
    made.disabled = true;
    act()
      .catch((error) => say(textOf(error), true))
      .finally(() => (made.disabled = false));
  });
  return made;
}

/** @param {string} agent */
function nameOf(agent) {
  const browser = /Edg|OPR|Firefox|Chrome|Safari/.exec(agent)?.[0] ?? "";
  const system = /iPhone|iPad|Android|Windows|Mac OS|Linux/.exec(agent)?.[0] ?? "";
  return (
    [{ Edg: "Edge", OPR: "Opera" }[browser] ?? browser, system].filter(Boolean).join(" on ") ||
    agent.slice(0, 40) ||
    "Unknown device"
  );
}

/**
 * Continues a provider sign-in that was redirected here: it waits for the second factor, or has
 * failed.
 */
async function takeUp() {
  const params = new URLSearchParams(location.search);
  const failed = params.get("oauth_error");
  if (failed === null) return;
  for (const name of ["oauth_error", "oauth_error_message"]) params.delete(name);
  // Shown once, and not again when the page is reloaded.
  history.replaceState(null, "", `${location.pathname}?${params}${location.hash}`);
  if (failed !== "MFA_REQUIRED") return say(main.dataset.problem ?? "", true);
  mfaToken = (await call("POST", "/oauth/pending", {})).mfa_token;
  show("factor");
}

takeUp().catch((error) => say(error.message, true));
if (
  secret === "" &&
  (document.getElementById("reset") ?? document.getElementById("invitation")) !== null
)
  say("This link is incomplete. Open it from the email again.", true);
// Removes the secret from the URL, so that the history does not contain it.
if (secret !== "") history.replaceState(null, "", location.pathname + location.search);
void loadProviders();
for (const load of [loadAccount, loadInvited, loadOffer])
  load().catch((error) => say(error.message, true));
if (document.getElementById("invited") !== null)
  window.addEventListener("focus", () => void loadInvited().catch(() => undefined));
