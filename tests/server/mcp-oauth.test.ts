import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { mcp } from "@pylonsync/sdk/plugins";
import { TestClient } from "../support/client.ts";
import {
  allow,
  begin,
  connectByOAuth,
  openConsent,
  signUp,
  submitConsent,
  TestProvider,
  type Browser,
} from "../support/mcp-client.ts";
import { appOf, startServer, type TestServer } from "../support/server.ts";
import { freePort } from "../support/servers/free-port.ts";

const Note = entity("Note", { title: field.string(), ownerId: field.string().owner() });
const User = entity("User", {
  email: field.string().unique(),
  passwordHash: field.string().hidden(),
});
const app = appOf(
  buildManifest({
    name: "models",
    version: "1.0.0",
    entities: [Note, User],
    policies: [
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
    ],
    plugins: [mcp({ entities: { Note: ["read", "insert"] } })],
  }),
);

let later = 0;
let server: TestServer;
let url: string;
beforeAll(async () => {
  server = await startKnown();
  ({ url } = server);
});
afterAll(() => server.stop());

/** A server with a configured public URL. */
async function startKnown(): Promise<TestServer> {
  const port = await freePort();
  return startServer(
    app,
    {
      PYLON_PORT: String(port),
      PYLON_SINGLE_PORT: "1",
      PYLON_PUBLIC_URL: `http://localhost:${port}`,
    },
    { now: () => Date.now() + later },
  );
}

let users = 0;
const newUser = () => signUp(url, `user${(users += 1)}@example.com`);

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<unknown> {
  const { content } = await client.callTool({ name, arguments: args });
  return JSON.parse((content as { text: string }[])[0]?.text ?? "");
}

const form = (path: string, body: Record<string, string>): Promise<Response> =>
  fetch(`${url}${path}`, { method: "POST", body: new URLSearchParams(body) });
const toToken = (body: Record<string, string>): Promise<Response> =>
  form("/api/auth/mcp/token", body);
const register = (at: string, body: object): Promise<Response> =>
  fetch(`${at}/api/auth/mcp/register`, { method: "POST", body: JSON.stringify(body) });
const listTools = (token: string): Promise<Response> =>
  fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      Accept: "application/json, text/event-stream",
      "Content-Type": "application/json",
      Authorization: `Bearer ${token}`,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
  });
const bodyOf = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

/** Registered once, because registrations are rate limited. */
let registered: TestProvider["information"];

/** A client that has sent its user to the consent page, where the user has not agreed yet. */
async function pendingClient(isNew = false): Promise<{ provider: TestProvider; clientId: string }> {
  const provider = new TestProvider();
  if (!isNew) provider.information = registered;
  expect(await begin(url, provider)).toBe(false);
  registered ??= provider.information;
  return { provider, clientId: provider.information?.client_id ?? "" };
}

/** The parameters of the token request for a code that the user has approved. */
async function exchangeFor(browser: Browser): Promise<Record<string, string>> {
  const { provider, clientId } = await pendingClient();
  const back = await allow(browser, provider);
  return {
    grant_type: "authorization_code",
    code: back.searchParams.get("code") ?? "",
    client_id: clientId,
    code_verifier: provider.verifier,
    redirect_uri: provider.redirectUrl,
    resource: `${url}/mcp`,
  };
}

async function tokensFor(browser: Browser): Promise<Record<"access" | "refresh" | "id", string>> {
  const given = await exchangeFor(browser);
  const body = await bodyOf(await toToken(given));
  return {
    access: String(body["access_token"]),
    refresh: String(body["refresh_token"]),
    id: given["client_id"] ?? "",
  };
}

const refreshWith = (token: string, clientId: string): Promise<Response> =>
  toToken({ grant_type: "refresh_token", refresh_token: token, client_id: clientId });

test("a client of the SDK signs in, and uses tools only with the rights of its user", async () => {
  const [ann, bob] = [await newUser(), await newUser()];
  const { client: own, provider } = await connectByOAuth(url, ann);
  const { client: other } = await connectByOAuth(url, bob);
  const { id } = (await call(own, "Note_insert", { data: { title: "mine" } })) as { id: string };
  expect(await call(own, "Note_query", {})).toMatchObject([{ id, title: "mine" }]);
  expect(await call(other, "Note_query", {})).toEqual([]);
  expect(await call(other, "Note_get", { id })).toMatchObject({ error: { code: "NOT_FOUND" } });

  // The client refreshes an expired token itself.
  const before = provider.saved;
  later += 61 * 60_000;
  expect((await listTools(String(before?.access_token))).status).toBe(401);
  expect(await call(own, "Note_query", {})).toMatchObject([{ id }]);
  expect(provider.saved?.access_token).not.toBe(before?.access_token);
  expect(provider.saved?.refresh_token).not.toBe(before?.refresh_token);
  await Promise.all([own.close(), other.close()]);
});

test("the response to a request without a token says where to get one", async () => {
  const response = await fetch(`${url}/mcp`, { method: "POST", body: "{}" });
  expect(response.status).toBe(401);
  const metadata = `${url}/.well-known/oauth-protected-resource/mcp`;
  expect(response.headers.get("www-authenticate")).toBe(
    `Bearer resource_metadata="${metadata}", scope="read write functions"`,
  );
  const wrong = await listTools("mcp.unknown.token");
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get("www-authenticate")).toContain('error="invalid_token"');
  for (const path of [metadata, `${url}/.well-known/oauth-protected-resource`])
    expect(await bodyOf(await fetch(path))).toMatchObject({
      resource: `${url}/mcp`,
      authorization_servers: [url],
    });
  expect(await bodyOf(await fetch(`${url}/.well-known/oauth-authorization-server`))).toMatchObject({
    issuer: url,
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none"],
  });
});

test("the consent page shows client, host, user and scopes, and can't be framed", async () => {
  const ann = await newUser();
  const provider = new TestProvider("https://agent.example.com/cb", '<b>"Agent"</b>\u202Egnp');
  await begin(url, provider);
  const authorization = provider.authorizationUrl ?? new URL("about:blank");
  const unsigned = await fetch(authorization, { redirect: "manual" });
  expect(unsigned.status).toBe(302);
  const back = new URL(unsigned.headers.get("location") ?? "", url);
  expect(back.pathname).toBe("/auth/sign-in");
  expect(back.searchParams.get("redirect")).toBe(authorization.pathname + authorization.search);

  const response = await openConsent(ann, authorization);
  const page = await response.text();
  expect(page).toContain("&lt;b&gt;&quot;Agent&quot;&lt;/b&gt; gnp");
  expect(page).not.toContain("\u202E");
  expect(page).toContain("agent.example.com");
  expect(page).toContain(`user${users}@example.com`);
  expect(page).toContain("Add, change and delete the data");
  const policyOf = response.headers.get("content-security-policy") ?? "";
  expect(policyOf).toContain("frame-ancestors 'none'");
  expect(policyOf).toContain("form-action 'self' https://agent.example.com;");
  expect(response.headers.get("x-frame-options")).toBe("DENY");

  const denied = await submitConsent(ann, url, page, "deny");
  const to = new URL(denied.headers.get("location") ?? "");
  expect(to.origin + to.pathname).toBe("https://agent.example.com/cb");
  expect(Object.fromEntries(to.searchParams)).toEqual({
    state: "the-state",
    iss: url,
    error: "access_denied",
  });
  // The page can be submitted only once.
  expect((await submitConsent(ann, url, page)).status).toBe(400);
});

test("the form of one user's page gives no access to another user or another site", async () => {
  const [ann, eve] = [await newUser(), await newUser()];
  const { provider } = await pendingClient();
  const page = async (): Promise<string> =>
    (await openConsent(ann, provider.authorizationUrl ?? "")).text();
  const foreign = await submitConsent(ann, url, await page(), "allow", {
    Origin: "https://evil.example",
  });
  expect(foreign.status).toBe(403);
  expect((await submitConsent(eve, url, await page())).status).toBe(400);
  expect((await submitConsent({ cookie: "" }, url, await page())).status).toBe(400);
  expect((await submitConsent(ann, url, "no token")).status).toBe(400);
  expect((await submitConsent(ann, url, await page())).status).toBe(303);
});

test.each([
  ["client_id", "unknown", "not registered"],
  ["redirect_uri", "https://evil.example/callback", "not registered for the client"],
  ["redirect_uri", "http://127.0.0.1:9/callback/../other", "not registered for the client"],
  ["redirect_uri", "http://127.0.0.1:9/callback?x=1", "not registered for the client"],
  ["redirect_uri", "http://localhost:9/callback", "not registered for the client"],
  ["redirect_uri", "http://127.0.0.1@evil.example:9/callback", "not registered for the client"],
  ["response_type", "token", "unsupported_response_type"],
  ["code_challenge_method", "plain", "must be S256"],
  ["code_challenge", "short", "code_challenge must be"],
  ["code_challenge", "", "&quot;code_challenge&quot; is missing"],
  ["resource", "https://other.example/mcp", "invalid_target"],
  ["scope", "everything", "invalid_scope"],
])(
  "an authorization request with %s=%j is shown as invalid, and not redirected",
  async (name, value, message) => {
    const ann = await newUser();
    const { provider } = await pendingClient();
    const authorization = new URL(provider.authorizationUrl ?? "");
    authorization.searchParams.set(name, value);
    const response = await openConsent(ann, authorization);
    expect(response.status).toBe(400);
    expect(response.headers.get("location")).toBeNull();
    expect(await response.text()).toContain(message);
  },
);

test("a client on this machine may be redirected to any port", async () => {
  const ann = await newUser();
  const { provider } = await pendingClient();
  const authorization = new URL(provider.authorizationUrl ?? "");
  authorization.searchParams.set("redirect_uri", "http://127.0.0.1:54321/callback");
  expect((await openConsent(ann, authorization)).status).toBe(200);
  authorization.searchParams.append("redirect_uri", "http://127.0.0.1:9/callback");
  expect(await (await openConsent(ann, authorization)).text()).toContain("is given twice");
});

test("a code is useless without its verifier, client and redirect URI", async () => {
  const ann = await newUser();
  const other = await pendingClient(true);
  for (const [wrong, error] of [
    [{ code_verifier: "w".repeat(43) }, "invalid_grant"],
    [{ code_verifier: "" }, "invalid_request"],
    [{ client_id: other.clientId }, "invalid_grant"],
    [{ client_id: "unknown" }, "invalid_client"],
    [{ redirect_uri: "http://127.0.0.1:10/callback" }, "invalid_grant"],
    [{ resource: "https://other.example/mcp" }, "invalid_target"],
    [{ code: "unknown" }, "invalid_grant"],
    [{ grant_type: "password" }, "unsupported_grant_type"],
  ] as const) {
    const response = await toToken({ ...(await exchangeFor(ann)), ...wrong });
    expect(response.status).toBe(400);
    expect(await bodyOf(response)).toMatchObject({ error });
    expect(response.headers.get("cache-control")).toBe("no-store");
  }
  const late = await exchangeFor(ann);
  later += 61_000;
  expect(await bodyOf(await toToken(late))).toMatchObject({ error: "invalid_grant" });
});

test("one of concurrent exchanges of a code succeeds, and a later one revokes access", async () => {
  const ann = await newUser();
  const given = await exchangeFor(ann);
  const all = await Promise.all(Array.from({ length: 5 }, () => toToken(given)));
  expect(all.filter(({ status }) => status === 200)).toHaveLength(1);

  const once = await exchangeFor(ann);
  const { access_token: access } = await bodyOf(await toToken(once));
  expect((await listTools(String(access))).status).toBe(200);
  expect((await toToken(once)).status).toBe(400);
  expect((await listTools(String(access))).status).toBe(401);
});

test("a refresh token that is used twice revokes the access", async () => {
  const { access, refresh, id } = await tokensFor(await newUser());
  const { clientId: other } = await pendingClient(true);
  expect(await bodyOf(await refreshWith(refresh, other))).toMatchObject({ error: "invalid_grant" });
  const next = await bodyOf(await refreshWith(refresh, id));
  expect((await listTools(access)).status).toBe(401);
  expect((await listTools(String(next["access_token"]))).status).toBe(200);
  // A guessed token with only the right grant id does not revoke it.
  const guess = refresh.replace(/\.[^.]+$/, `.${"x".repeat(86)}`);
  expect((await refreshWith(guess, id)).status).toBe(400);
  expect((await listTools(String(next["access_token"]))).status).toBe(200);

  expect(await bodyOf(await refreshWith(refresh, id))).toMatchObject({ error: "invalid_grant" });
  expect((await listTools(String(next["access_token"]))).status).toBe(401);
  expect((await refreshWith(String(next["refresh_token"]), id)).status).toBe(400);
});

test("an access token is valid only for /mcp, within its scopes", async () => {
  const ann = await newUser();
  const provider = new TestProvider();
  await begin(url, provider);
  provider.authorizationUrl?.searchParams.set("scope", "entities:Note:read unknown");
  const back = await allow(ann, provider);
  const { access_token: token, scope } = await bodyOf(
    await toToken({
      grant_type: "authorization_code",
      code: back.searchParams.get("code") ?? "",
      client_id: provider.information?.client_id ?? "",
      code_verifier: provider.verifier,
    }),
  );
  expect(scope).toBe("entities:Note:read");
  const client = new TestClient(url, String(token));
  for (const [method, path] of [
    ["GET", "/api/auth/session"],
    ["GET", "/api/entities/Note"],
    ["GET", "/api/auth/mcp/grants"],
    ["POST", "/api/query"],
    ["POST", "/api/auth/api-keys"],
  ] as const)
    expect([
      path,
      (await client.request(method, path, method === "GET" ? undefined : {})).status,
    ]).toEqual([path, 401]);
  const tool = async (name: string, args: object): Promise<string> => {
    const params = { name, arguments: args };
    const { body } = await client.request(
      "POST",
      "/mcp",
      { jsonrpc: "2.0", id: 1, method: "tools/call", params },
      { Accept: "application/json, text/event-stream", "Content-Type": "application/json" },
    );
    return JSON.stringify(body);
  };
  expect(await tool("Note_query", {})).toContain('"text":"[]"');
  expect(await tool("Note_insert", { data: { title: "x" } })).toContain("INSUFFICIENT_SCOPE");
});

const PASSWORD = "a long enough passw0rd";
const atAuth = (user: { readonly token: string }, method: string, path: string, body: object) =>
  new TestClient(url, user.token).request(method, `/api/auth${path}`, body);

test.each([
  ["DELETE", "/session", {}],
  ["DELETE", "/sessions?others=1", {}],
  ["POST", "/password/change", { current_password: PASSWORD, new_password: `${PASSWORD}!` }],
  ["DELETE", "/account", { password: PASSWORD }],
] as const)("%s %s revokes the access token and the refresh token", async (method, path, body) => {
  const user = await newUser();
  const { access, refresh, id } = await tokensFor(user);
  expect((await listTools(access)).status).toBe(200);
  expect((await atAuth(user, method, path, body)).status).toBeLessThan(300);
  expect((await listTools(access)).status).toBe(401);
  expect((await refreshWith(refresh, id)).status).toBe(400);
});

test("a code is invalid once the session in which the user agreed has ended", async () => {
  const user = await newUser();
  const waiting = await exchangeFor(user);
  await atAuth(user, "DELETE", "/session", {});
  expect(await bodyOf(await toToken(waiting))).toMatchObject({ error: "invalid_grant" });
});

test("access survives a refresh of the session's token", async () => {
  const user = await newUser();
  const { access } = await tokensFor(user);
  const { status } = await new TestClient(url, user.token).request("POST", "/api/auth/refresh", {});
  expect(status).toBe(200);
  expect((await listTools(access)).status).toBe(200);
});

test("users list and revoke the access that they gave; clients revoke their tokens", async () => {
  const [ann, eve] = [await newUser(), await newUser()];
  const { access } = await tokensFor(ann);
  const second = await tokensFor(ann);
  const [own, other] = [new TestClient(url, ann.token), new TestClient(url, eve.token)];
  const { body } = await own.request("GET", "/api/auth/mcp/grants");
  const grants = body as unknown as { id: string; client: string; scopes: string[] }[];
  expect(grants).toMatchObject([
    { client: "Test agent" },
    { scopes: ["read", "write", "functions"] },
  ]);
  const id = access.split(".")[1] ?? "";
  expect((await other.request("DELETE", `/api/auth/mcp/grants/${id}`)).status).toBe(404);
  expect((await listTools(access)).status).toBe(200);
  expect((await own.request("DELETE", `/api/auth/mcp/grants/${id}`)).status).toBe(200);
  expect((await listTools(access)).status).toBe(401);

  const { clientId } = await pendingClient(true);
  const revoke = (token: string, client: string): Promise<Response> =>
    form("/api/auth/mcp/revoke", { token, client_id: client });
  expect((await revoke(second.refresh, clientId)).status).toBe(200);
  expect((await listTools(second.access)).status).toBe(200);
  expect((await revoke(second.refresh, second.id)).status).toBe(200);
  expect((await listTools(second.access)).status).toBe(401);
  expect((await revoke("unknown", second.id)).status).toBe(200);
});

test("a registration is rejected unless its redirect URIs are https or this machine", async () => {
  const own = await startKnown();
  const many = Array.from({ length: 11 }, () => "https://a.example");
  for (const [metadata, error] of [
    [{ redirect_uris: ["http://evil.example/cb"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["javascript:alert(1)"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["myapp://callback"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["https://a.example/cb#x"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["https://user@a.example/cb"] }, "invalid_redirect_uri"],
    [{ redirect_uris: [] }, "invalid_redirect_uri"],
    [{ redirect_uris: many }, "invalid_redirect_uri"],
    [{}, "invalid_redirect_uri"],
    [{ redirect_uris: ["https://a.example/cb"], client_name: 5 }, "invalid_client_metadata"],
  ] as const) {
    const response = await register(own.url, metadata);
    expect([metadata, response.status, (await bodyOf(response))["error"]]).toEqual([
      metadata,
      400,
      error,
    ]);
  }
  await own.stop();
});

test("registrations are limited per address, and unused ones expire", async () => {
  const own = await startKnown();
  const statuses = [];
  for (let n = 0; n < 21; n += 1)
    statuses.push((await register(own.url, { redirect_uris: ["https://a.example/cb"] })).status);
  expect(statuses.filter((status) => status === 201)).toHaveLength(20);
  expect(statuses.at(-1)).toBe(429);
  await own.stop();

  const ann = await newUser();
  const { provider } = await pendingClient(true);
  expect((await openConsent(ann, provider.authorizationUrl ?? "")).status).toBe(200);
  later += 25 * 60 * 60_000;
  expect(await (await openConsent(ann, provider.authorizationUrl ?? "")).text()).toContain(
    "not registered",
  );
});

test("a server without a public URL accepts only other tokens", async () => {
  const plain = await startServer(app);
  const response = await fetch(`${plain.url}/mcp`, { method: "POST", body: "{}" });
  expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
  const metadata = await fetch(`${plain.url}/.well-known/oauth-protected-resource`);
  expect(JSON.stringify(await metadata.json())).toContain("PUBLIC_URL_NOT_CONFIGURED");
  await plain.stop();
});
