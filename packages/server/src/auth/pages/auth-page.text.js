// The script of the pages under /auth: sends their forms to the API and shows what it answers. No
// framework, no build.
// @ts-check
"use strict";

const main = find("main");
const message = find("[role=status]");
const redirect = main.dataset.redirect ?? "/";
const secret = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

/**
 * The element that the page has for this; page-html.ts and this script go together.
 *
 * @param {string} selector @param {ParentNode} [root]
 */
function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (found instanceof HTMLElement) return found;
  throw new Error(`This page has no ${selector}.`);
}

/** What the server refused, with its code. */
class Refusal extends Error {
  /** @param {Partial<Record<"message" | "code" | "field" | "hint" | "mfa_token", string>>} error */
  constructor({ message: text, code, field, hint, mfa_token: token }) {
    super(text ?? "The server did not answer as expected.");
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
  message.classList.toggle("error", isError);
}

/** @param {string} name */
function show(name) {
  for (const part of document.querySelectorAll("[data-step]"))
    part.toggleAttribute("hidden", part.getAttribute("data-step") !== name);
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
    say("");
    for (const input of form.querySelectorAll("[aria-invalid]"))
      input.removeAttribute("aria-invalid");
    try {
      const values = [...new FormData(form)].map(([name, value]) => [name, String(value)]);
      await act(Object.fromEntries(values));
    } catch (error) {
      refused(form, error);
    } finally {
      button.toggleAttribute("disabled", false);
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
  const field = error.field === undefined ? null : form.elements.namedItem(error.field);
  if (field instanceof HTMLInputElement) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }
  const waits = error.code === "RATE_LIMITED" && error.hint !== undefined;
  say(waits ? `${error.message} ${error.hint}` : error.message, true);
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
  say(`If ${values.email} has an account, a link is on its way.`);
});
onSubmit("reset", async ({ password }) => {
  await call("POST", "/password/reset/complete", { token: secret, password });
  show("done");
  say("Your password is changed.");
});
onSubmit("change", async ({ current_password = "", new_password = "" }) => {
  await call("POST", "/password/change", { current_password, new_password });
  const form = find("#change");
  if (form instanceof HTMLFormElement) form.reset();
  say("Your password is changed; other devices are signed out.");
  await Promise.all([loadDevices(), loadLeave()]);
});
onSubmit("leave", async ({ password }) => {
  try {
    await call("DELETE", "/account", password ? { password } : {});
  } catch (error) {
    // The ten minutes since the sign-in may be over by now.
    const isOver = error instanceof Refusal && error.code === "FRESH_SIGN_IN_REQUIRED";
    if (isOver) return await loadLeave();
    throw error;
  }
  location.assign("/auth/sign-in");
});
onSubmit("invitation", async () => {
  await call("POST", `/invites/${encodeURIComponent(secret)}/accept`);
  done();
});

/** The field for the address of the step that is shown, if it has one. */
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
    say("The passkey is added.");
  } catch (error) {
    say(error instanceof DOMException ? "No passkey was made." : textOf(error), true);
  }
});
document.getElementById("sign-out")?.addEventListener("click", async () => {
  try {
    await call("DELETE", "/session");
  } catch (error) {
    // What the server refuses to end is not a session any longer; what it did not hear of still is.
    const isHeard = error instanceof Refusal && error.code !== undefined;
    if (!isHeard) return say(textOf(error), true);
  }
  location.assign("/auth/sign-in");
});

async function loadProviders() {
  const list = document.getElementById("providers");
  if (list === null) return;
  /** @type {{provider: string}[]} */
  const providers = await call("GET", "/providers").catch(() => []);
  for (const { provider } of Array.isArray(providers) ? providers : []) {
    list.append(
      providerLink(provider, redirect, `/auth/sign-in?redirect=${encodeURIComponent(redirect)}`),
    );
  }
}

/**
 * A button that leads to an account elsewhere.
 *
 * @param {string} provider @param {string} callback @param {string} errorCallback
 */
function providerLink(provider, callback, errorCallback) {
  const link = document.createElement("a");
  link.className = "button plain";
  const query = new URLSearchParams({ redirect: "1", callback, error_callback: errorCallback });
  link.href = `/api/auth/login/${encodeURIComponent(provider)}?${query}`;
  link.textContent = `Continue with ${provider[0]?.toUpperCase()}${provider.slice(1)}`;
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
  await Promise.all([loadDevices(), loadLeave()]);
}

/** Asks for what the user has: the password, else a fresh sign-in and a word. */
async function loadLeave() {
  const account = await call("GET", "/account");
  const canConfirm = account.has_password === true || account.is_fresh === true;
  const byId = (/** @type {string} */ id) => find(`#${id}`);
  byId("current").hidden = account.has_password !== true;
  byId("leave").hidden = !canConfirm;
  byId("leave-again").hidden = canConfirm;
  const ask = (/** @type {string} */ id, /** @type {boolean} */ isAsked) => {
    byId(id).hidden = !isAsked;
    find("input", byId(id)).toggleAttribute("required", isAsked);
  };
  ask("leave-password", account.has_password === true);
  ask("leave-word", account.has_password !== true);
  const here = location.pathname + location.search;
  const again = `/auth/sign-in?redirect=${encodeURIComponent(here)}`;
  byId("leave-sign-in").setAttribute("href", again);
  byId("leave-providers").replaceChildren(
    ...account.providers.map((/** @type {string} */ provider) =>
      providerLink(provider, here, again),
    ),
  );
}

async function loadDevices() {
  const list = find("#devices");
  /** @type {{id: string, device: string, current: boolean, seen_at: string}[]} */
  const sessions = await call("GET", "/sessions");
  list.replaceChildren(
    ...sessions.map(({ id, device, current, seen_at: seenAt }) => {
      const item = document.createElement("li");
      const text = document.createElement("span");
      text.textContent = `${nameOf(device)}${current ? " (this one)" : ""}`;
      const time = document.createElement("small");
      time.textContent = new Date(seenAt).toLocaleString();
      text.append(time);
      item.append(text);
      if (!current) {
        const end = document.createElement("button");
        end.type = "button";
        end.className = "plain";
        end.textContent = "Sign out";
        end.setAttribute("aria-label", `Sign out ${nameOf(device)}`);
        end.addEventListener("click", async () => {
          await call("DELETE", `/sessions/${encodeURIComponent(id)}`).catch((error) =>
            say(error.message, true),
          );
          await loadDevices();
        });
        item.append(end);
      }
      return item;
    }),
  );
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
 * A sign-in with an account elsewhere that came back here waits for the second factor, or has
 * failed.
 */
async function takeUp() {
  const params = new URLSearchParams(location.search);
  const failed = params.get("oauth_error");
  if (failed === null) return;
  for (const name of ["oauth_error", "oauth_error_message"]) params.delete(name);
  // Said once, and not again when the page is loaded again.
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
  say("This link is not complete. Open it from the mail again.", true);
// The secret is not left where the history shows it.
if (secret !== "") history.replaceState(null, "", location.pathname + location.search);
void loadProviders();
loadAccount().catch((error) => say(error.message, true));
