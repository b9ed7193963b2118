import { afterEach, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { appOf, startServer, type TestServer } from "../../../../tests/support/server.ts";

const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [entity("Item", { title: field.string() })],
    policies: [],
  }),
);
const DEV = { PYLON_DEV_MODE: "1", PYLON_HOST: "127.0.0.1" };
const TOKEN = "the-token-of-the-operator";

let server: TestServer | undefined;
afterEach(() => server?.stop());

async function start(env: Readonly<Record<string, string>>): Promise<string> {
  server = await startServer(app, { PYLON_ADMIN_TOKEN: "", ...env });
  return server.url;
}

/** As a browser sends it from a page of this origin. */
async function session(url: string, origin: string | null = url): Promise<Response> {
  return fetch(`${url}/studio/session`, {
    method: "POST",
    headers: origin === null ? {} : { Origin: origin },
  });
}

test("in dev mode, the page gets an admin token that is not the configured one", async () => {
  const url = await start({ ...DEV, PYLON_ADMIN_TOKEN: TOKEN });
  const response = await session(url);
  expect(response.headers.get("cache-control")).toContain("no-store");
  const { token } = (await response.json()) as { token: string };
  expect(token).not.toBe(TOKEN);
  const inserted = await fetch(`${url}/api/entities/Item`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ title: "Lamp" }),
  });
  expect(inserted.status).toBe(201);
});

test.each([
  ["a page of another site", "https://evil.example"],
  ["a page on another port of this machine", "http://127.0.0.1:5173"],
  ["a client that names no page", null],
])("%s gets no token", async (_, origin) => {
  const url = await start(DEV);
  const response = await session(url, origin);
  expect(response.status).toBe(403);
  expect(await response.text()).not.toContain('"token"');
});

test.each([
  ...[
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "X-Original-Host",
  ].map((name) => [`a proxy or tunnel that sends ${name}`, { [name]: "203.0.113.7" }] as const),
  [
    "a tunnel under its own name",
    { Host: "me.tunnel.example", Origin: "http://me.tunnel.example" },
  ],
])("who comes through %s gets no token", async (_, headers) => {
  const url = await start({ ...DEV, PYLON_DEV_HOSTS: "me.tunnel.example" });
  const response = await fetch(`${url}/studio/session`, {
    method: "POST",
    headers: { Origin: url, ...headers },
  });
  expect(response.status).toBe(403);
  expect(await response.text()).not.toContain('"token"');
});

test.each([
  ["a frame without an origin", "null"],
  ["a page whose address only begins like this machine's", "http://127.0.0.1.evil.example"],
  ["a page whose user name is this machine's", "http://127.0.0.1@evil.example"],
])("%s gets no token", async (_, origin) => {
  const response = await session(await start(DEV), origin);
  expect(response.status).toBe(403);
  expect(await response.text()).not.toContain('"token"');
});

test("a name that resolves to this machine (DNS rebinding) gets no token", async () => {
  const { port } = new URL(await start(DEV));
  const own = `rebound.example:${port}`;
  const response = await fetch(`http://127.0.0.1:${port}/studio/session`, {
    method: "POST",
    headers: { Host: own, Origin: `http://${own}` },
  });
  expect(await response.json()).toMatchObject({ error: { code: "HOST_REJECTED" } });
});

test("no other site may show the page in a frame, or keep a handle on its window", async () => {
  const { headers } = await fetch(`${await start(DEV)}/studio`);
  expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  expect(headers.get("x-frame-options")).toBe("DENY");
  expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
});

test("the token of dev mode ends with its server, and is not in the log", async () => {
  const url = await start({ ...DEV, PYLON_LOG_LEVEL: "debug" });
  const { token } = (await (await session(url)).json()) as { token: string };
  const headers = { Authorization: `Bearer ${token}` };
  expect((await fetch(`${url}/api/entities/Item`, { headers })).status).toBe(200);
  const log = await (await fetch(`${url}/api/admin/logs?level=debug`, { headers })).text();
  expect(log).toContain("/api/entities/:entity");
  expect(log).not.toContain(token);
  await server?.stop();
  const next = await start(DEV);
  expect((await fetch(`${next}/api/admin/logs`, { headers })).status).toBe(401);
});

test("in production, the page asks for the admin token", async () => {
  const url = await start({ PYLON_ADMIN_TOKEN: TOKEN });
  const page = await fetch(`${url}/studio`);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html;charset=utf-8"]);
  expect(page.headers.get("content-security-policy")).toContain("script-src 'self'");
  expect(await (await session(url)).json()).toEqual({ token: null, has_mailbox: false });
});

test.each([
  ["in production without an admin token", {}],
  ["if PYLON_STUDIO is 0", { PYLON_ADMIN_TOKEN: TOKEN, PYLON_STUDIO: "0" }],
])("there is no Studio %s", async (_, env) => {
  const url = await start(env);
  for (const path of ["/studio", "/studio/studio.js"])
    expect([path, (await fetch(url + path)).status]).toEqual([path, 404]);
  expect((await session(url)).status).toBe(404);
});

test("in dev mode without Studio, nobody gets a token", async () => {
  const url = await start({ ...DEV, PYLON_STUDIO: "0" });
  expect((await session(url)).status).toBe(404);
});

test("the files are compressed, and sent again only when they have changed", async () => {
  const url = await start(DEV);
  const first = await fetch(`${url}/studio/studio.js`, { headers: { "Accept-Encoding": "gzip" } });
  expect(first.headers.get("content-encoding")).toBe("gzip");
  const tag = first.headers.get("etag") ?? "";
  const again = await fetch(`${url}/studio/studio.js`, {
    headers: { "Accept-Encoding": "gzip", "If-None-Match": tag },
  });
  expect([first.status, again.status]).toEqual([200, 304]);
});
