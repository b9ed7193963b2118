import { afterAll, beforeAll, expect, mock, test } from "bun:test";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { db, init } from "@pylonsync/react";
import { Window } from "happy-dom";
import type { ReactElement } from "react";
import { api, ApiError, createPylonClient } from "../../packages/next/src/api.ts";
import {
  listOAuthProviders,
  loginWithPassword,
  logout,
  sendVerificationEmail,
  signupWithPassword,
  startOAuthLogin,
  useAuthSubmit,
  useOAuthProviders,
  verifyEmail,
  type AuthSubmit,
} from "../../packages/next/src/auth.ts";
import { until } from "../support/client.ts";
import { reactSettled } from "../support/react-settled.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";

// What apps of the public system import from @pylonsync/next, against a real server. Next's own
// request exists only inside of Next: here it is replaced by the cookies of this file's browser.

const PASSWORD = "correct horse battery";
const ORIGIN = "http://localhost:3000";
const app = appOf(
  buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique(), displayName: field.string().optional() }),
      entity("Note", { text: field.string(), ownerId: field.string().owner() }),
    ],
    policies: [
      policy({ name: "me", entity: "User", allowRead: "auth.userId == data.id" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
    ],
  }),
);

const cookies = new Map<string, string>();
const cookieHeader = (): string =>
  [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
await mock.module("next/headers", () => ({
  cookies: () =>
    Promise.resolve({
      get: (name: string) => {
        const value = cookies.get(name);
        return value === undefined ? undefined : { value: decodeURIComponent(value) };
      },
    }),
  headers: () => Promise.resolve(new Headers()),
}));
const { createPylonServer, getAuth, getOAuthProviders, pylonFetch, pylonJson, requireAuth } =
  await import("../../packages/next/src/server.ts");
const client = await import("../../packages/next/src/client.ts");
const inServer = await import("../../packages/next/src/client-in-server.ts");

let server: TestServer;
let window: Window;
const restore: Record<string, unknown> = {};
const realFetch = globalThis.fetch;
const assigned: string[] = [];

/** Fetches like a page of the server's origin: with relative addresses, cookies, and its Origin. */
async function pageFetch(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Origin", ORIGIN);
  headers.set("Cookie", cookieHeader());
  const response = await realFetch(new URL(url, server.url), { ...init, headers });
  for (const cookie of response.headers.getSetCookie()) {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
    if (value === "" || /Max-Age=0/i.test(cookie)) cookies.delete(name);
    else cookies.set(name, value);
  }
  return response;
}

beforeAll(async () => {
  server = await startServer(app, {
    PYLON_CORS_ORIGIN: ORIGIN,
    PYLON_PUBLIC_URL: ORIGIN,
    PYLON_COOKIE_SECURE: "0",
    PYLON_OAUTH_GOOGLE_CLIENT_ID: "id",
    PYLON_OAUTH_GOOGLE_CLIENT_SECRET: "secret",
  });
  window = new Window({ url: `${ORIGIN}/login` });
  for (const name of ["window", "document", "location", "fetch"])
    restore[name] = Reflect.get(globalThis, name);
  const location = { href: `${ORIGIN}/login`, assign: (url: string) => assigned.push(url) };
  Object.assign(globalThis, { window, document: window.document, location, fetch: pageFetch });
});
afterAll(async () => {
  db.sync.stop();
  init();
  await reactSettled();
  await window.happyDOM.close();
  Object.assign(globalThis, restore);
  await server.stop();
});

const configOf = () => ({ target: server.url, cookieName: "notes_session", loginUrl: "/login" });

test("an app's own form signs up, out and in, with the cookie", async () => {
  const email = "ann@example.com";
  const signedUp = await signupWithPassword({ email, password: PASSWORD, displayName: "Ann" });
  expect([typeof signedUp.user_id, signedUp.verification_required]).toEqual(["string", undefined]);
  expect(cookies.has("notes_session")).toBe(true);
  await logout();
  expect(cookies.has("notes_session")).toBe(false);
  await logout();
  await expect(loginWithPassword({ email, password: "wrong" })).rejects.toMatchObject({
    code: "INVALID_CREDENTIALS",
    status: 401,
  });
  const { user_id } = await loginWithPassword({ email, password: PASSWORD });
  expect(user_id).toBe(signedUp.user_id ?? "");
});

test("api sends requests as the cookie's user, objects as JSON, and throws ApiError", async () => {
  const { id } = await api<{ id: string }>("/api/entities/Note", {
    method: "POST",
    body: { text: "milk" },
  });
  expect((await api<{ text: string }>(`/api/entities/Note/${id}`)).text).toBe("milk");
  const remote = createPylonClient({ baseUrl: `${server.url}/` });
  expect((await remote.api<{ data: unknown[] }>("/api/entities/Note")).data).toHaveLength(1);
  const text = JSON.stringify({ text: "eggs" });
  await api(`/api/entities/Note/${id}`, { method: "PATCH", body: text });
  const problem = await api("/api/entities/Nope").catch((error: unknown) => error);
  expect(problem).toBeInstanceOf(ApiError);
  expect(problem).toMatchObject({ status: 404, code: "ENTITY_NOT_FOUND" });
  expect(client.ApiError).toBe(ApiError);
  const away = createPylonClient({ baseUrl: "http://127.0.0.1:9" });
  await expect(away.api("/")).rejects.toMatchObject({ status: 0, code: "UNREACHABLE" });
});

test("a server component sends requests as the sender of the page's request", async () => {
  const pylon = createPylonServer(configOf());
  const auth = await pylon.getAuth();
  expect(auth).toEqual({
    userId: expect.any(String),
    tenantId: null,
    isAdmin: false,
    cookieHeader: `notes_session=${cookies.get("notes_session")}`,
  });
  expect(await getAuth(configOf())).toEqual(auth);
  expect(await pylon.requireAuth()).toMatchObject({ userId: auth?.userId });
  expect((await requireAuth(configOf())).userId).toBe(String(auth?.userId));
  expect((await pylon.getMe<{ email: string }>())?.email).toBe("ann@example.com");
  expect((await pylon.requireMe())["email"]).toBe("ann@example.com");
  const list = await pylon.json<{ data: { text: string }[] }>("/api/entities/Note");
  expect(list.data.map(({ text }) => text)).toEqual(["eggs"]);
  const body = JSON.stringify({ text: "tea" });
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body };
  const { id } = await pylonJson<{ id: string }>("/api/entities/Note", init, configOf());
  const response = await pylonFetch(`/api/entities/Note/${id}`, {}, configOf());
  expect(await response.json()).toMatchObject({ text: "tea" });
});

test("an anonymous request gets null, or is redirected to the sign-in page", async () => {
  const kept = cookies.get("notes_session") ?? "";
  cookies.clear();
  const pylon = createPylonServer(configOf());
  expect([await pylon.getAuth(), await pylon.getMe()]).toEqual([null, null]);
  const digest = expect.stringContaining(";/login;");
  await expect(pylon.requireAuth()).rejects.toMatchObject({ digest });
  await expect(pylon.requireMe()).rejects.toMatchObject({ digest });
  await expect(requireAuth(configOf())).rejects.toMatchObject({ digest });
  cookies.set("notes_session", kept);
});

test("providers are listed, and a sign-in with one leaves the page", async () => {
  const providers = [{ provider: "google", auth_url: expect.any(String) }];
  expect([...(await listOAuthProviders())]).toEqual(providers);
  expect([...(await getOAuthProviders(configOf()))]).toEqual(providers);
  startOAuthLogin("google", { successUrl: "/dashboard" });
  const url = new URL(assigned[0] ?? "", ORIGIN);
  expect(url.pathname).toBe("/api/auth/login/google");
  expect(Object.fromEntries(url.searchParams)).toEqual({
    redirect: "1",
    callback: `${ORIGIN}/dashboard`,
    error_callback: `${ORIGIN}/login`,
  });
  const answer = await pageFetch(`${url.pathname}${url.search}`, { redirect: "manual" });
  expect(answer.headers.get("Location")).toStartWith("https://accounts.google.com/");
});

test("an email address is verified by a mailed code", async () => {
  // This server has no email configured, and rejects the request.
  await expect(sendVerificationEmail()).rejects.toMatchObject({ code: "EMAIL_NOT_CONFIGURED" });
  await expect(verifyEmail("000000")).rejects.toMatchObject({ code: "INVALID_CODE" });
});

test("createPylonServer of the package root works only on a server", () => {
  expect(() => client.createPylonServer()).toThrow("@pylonsync/next/server");
  expect(inServer.createPylonServer).toBe(createPylonServer);
  expect(inServer.PylonProvider).toBe(client.PylonProvider);
});

test("the app's engine follows sign-ins made by the page itself", async () => {
  init({ baseUrl: server.url, credentials: "cookie", transport: "poll", persist: false });
  const seen: (string | null)[] = [];
  db.sync.session.onChange(({ userId }) => seen.push(userId));
  await until(() => seen.length === 1);
  await logout();
  await until(() => seen.length === 2);
  await loginWithPassword({ email: "ann@example.com", password: PASSWORD });
  await until(() => seen.length === 3);
  expect(seen).toEqual([expect.any(String), null, seen[0] ?? ""]);
});

test("useAuthSubmit runs one request at a time and reports errors", async () => {
  const { createRoot } = await import("react-dom/client");
  const container = window.document.createElement("div");
  let form: AuthSubmit | undefined;
  let providers: readonly unknown[] = [];
  function Form(): ReactElement {
    form = useAuthSubmit();
    providers = useOAuthProviders();
    return <p>{form.error}</p>;
  }
  const root = createRoot(container as never);
  root.render(<Form />);
  await until(() => form !== undefined && providers.length === 1);
  const submit = (work: () => Promise<unknown>) => form?.submit(work) ?? Promise.resolve(false);
  let end = (): void => undefined;
  const first = submit(() => new Promise<void>((resolve) => (end = resolve)));
  await until(() => form?.busy === true);
  expect(await submit(() => Promise.reject(new Error("twice")))).toBe(false);
  end();
  expect(await first).toBe(true);
  const wrong = { email: "ann@example.com", password: "wrong" };
  expect(await submit(() => loginWithPassword(wrong))).toBe(false);
  await until(() => form?.busy === false && container.textContent !== "");
  form?.setError(null);
  await until(() => container.textContent === "");
  root.unmount();
});
