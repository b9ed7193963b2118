import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { TestClient, until } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const app = appOf(
  buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [
      entity("User", { email: field.string().unique() }),
      entity("Note", { text: field.string(), ownerId: field.id("User").owner() }),
    ],
    policies: [
      policy({ name: "users", entity: "User", allow: "auth.userId == data.id" }),
      policy({ name: "own", entity: "Note", allow: "auth.userId == data.ownerId" }),
    ],
  }),
);

let server: TestServer;
let dev: TestServer;

beforeAll(async () => {
  server = await startServer(app);
  dev = await startServer(app, {
    PYLON_DEV_MODE: "1",
    PYLON_PUBLIC_URL: "https://dev.example.com",
    PYLON_DEV_HOSTS: ".tunnel.example",
  });
});
afterAll(async () => {
  await Promise.all([server.stop(), dev.stop()]);
});

/** Sends a request exactly as given. @returns the status and the whole response */
async function raw(
  url: string,
  lines: readonly string[],
  body = "",
): Promise<{ readonly status: number; readonly text: string }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = "";
  let isOver = false;
  socket.on("data", (data) => (text += data.toString()));
  for (const event of ["end", "close", "error"] as const) socket.on(event, () => (isOver = true));
  socket.write(
    `${[...lines, `Content-Length: ${body.length}`, "Connection: close"].join("\r\n")}\r\n` +
      `\r\n${body}`,
  );
  await until(() => isOver);
  socket.destroy();
  return { status: Number(text.split(" ")[1]), text };
}

describe("in dev mode, which is open to everyone who can reach it,", () => {
  const from = (
    host: string,
    ...more: string[]
  ): Promise<{ readonly status: number; readonly text: string }> =>
    raw(
      dev.url,
      ["POST /api/auth/session HTTP/1.1", `Host: ${host}`, ...more],
      '{"user_id":"anybody"}',
    );

  test("T12: a page with a foreign Host gets no session, mail, rows or socket", async () => {
    for (const host of [
      "evil.example",
      `evil.example:${new URL(dev.url).port}`,
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "[",
    ]) {
      const { status, text } = await from(host, `Origin: http://${host}`);
      expect([host, status, text.includes("token")]).toEqual([
        host,
        status === 400 ? 400 : 403,
        false,
      ]);
    }
    for (const path of [
      "/studio/mail.json",
      "/api/manifest",
      "/api/fn",
      "/api/entities/Note",
      "/api/sync/pull",
      "/events",
      "/",
    ]) {
      const { status, text } = await raw(dev.url, [`GET ${path} HTTP/1.1`, "Host: evil.example"]);
      expect([path, status, text]).toEqual([path, 403, expect.stringContaining("HOST_REJECTED")]);
    }
    const socket = await raw(dev.url, [
      "GET /ws?since=0 HTTP/1.1",
      "Host: evil.example",
      "Origin: http://evil.example",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    expect(socket).toMatchObject({ status: 403, text: expect.stringContaining("PYLON_DEV_HOSTS") });
  });

  test("local hosts, the public one and configured ones are served", async () => {
    for (const host of [
      "localhost:5173",
      "app.localhost",
      "127.0.0.1",
      "192.168.1.7:4321",
      "[::1]:4321",
      "dev.example.com",
      "a.tunnel.example",
    ])
      expect([host, (await from(host)).status]).toEqual([host, 201]);
    expect(
      (await raw(server.url, ["GET /api/auth/me HTTP/1.1", "Host: whatever.example"])).status,
    ).toBe(200);
  });

  test("T11: a page of another site can't read admin data, a local one can", async () => {
    const ask = (path: string, origin: string, token: string | null = null): Promise<number> =>
      new TestClient(dev.url, token)
        .request("GET", path, undefined, { Origin: origin })
        .then(({ status }) => status);
    for (const path of [
      "/studio/mail.json",
      "/studio/mail",
      "/api/manifest",
      "/api/fn",
      "/metrics",
    ]) {
      expect([path, await ask(path, "https://evil.example")]).toEqual([path, 403]);
      for (const origin of ["http://localhost:3000", "https://dev.example.com"])
        expect([path, await ask(path, origin)]).toEqual([path, 200]);
    }
    expect(await ask("/api/manifest", "https://evil.example", ADMIN_TOKEN)).toBe(200);
  });
});

describe("a malformed request is not a server error:", () => {
  test("an id with NUL is not found", async () => {
    const guest = await TestClient.guest(server.url);
    const admin = new TestClient(server.url, ADMIN_TOKEN);
    const paths = [
      "DELETE /api/auth/sessions/%00",
      "DELETE /api/auth/trusted-devices/%00",
      "DELETE /api/auth/passkey/keys/%00",
      "DELETE /api/auth/api-keys/%00",
      "GET /api/auth/orgs/%00",
      "POST /api/auth/invites/%00/accept",
      "GET /api/admin/users/%00/export",
      "DELETE /api/admin/users/a%00b",
      "GET /api/entities/Note/%00",
      "GET /api/files/%00",
    ];
    for (const path of paths) {
      const [method = "", rest = ""] = path.split(" ");
      for (const by of [guest, admin])
        expect([path, (await by.request(method, rest)).status]).toEqual([path, 404]);
    }
  });

  test("an Origin with an invalid Host is a foreign origin", async () => {
    for (const host of ["[", "a b", "a:999999", ""]) {
      const { status } = await raw(server.url, [
        "POST /api/auth/guest HTTP/1.1",
        `Host: ${host}`,
        "Origin: https://app.example.com",
      ]);
      expect([host, status]).toEqual([host, status === 400 ? 400 : 403]);
    }
  });

  test("a passkey with an unknown id is rejected", async () => {
    const begun = await fetch(`${server.url}/api/auth/passkey/login/begin`, { method: "POST" });
    const Cookie = begun.headers.getSetCookie()[0]?.split(";")[0] ?? "";
    const answer = await new TestClient(server.url, null).request(
      "POST",
      "/api/auth/passkey/login/finish",
      { id: "\0", rawId: "\0", type: "public-key", response: {} },
      { Cookie },
    );
    expect(answer).toMatchObject({ status: 401, body: { error: { code: "INVALID_PASSKEY" } } });
  });
});

test.each([
  "null",
  "*",
  "https://app.example.com/",
  "https://app.example.com/sign-in",
  "app.example.com",
  "https://*.example.com",
  "file:///",
  "https://user@app.example.com",
])("T10: %p as a trusted origin prevents the start", async (origin) => {
  const declared = buildManifest({
    name: "shop",
    version: "1.0.0",
    entities: [entity("User", { email: field.string().unique() })],
    auth: { trustedOrigins: ["https://fine.example.com", origin] },
  });
  await expect(startServer(appOf(declared))).rejects.toThrow(
    /TRUSTED_ORIGIN_INVALID.*auth\.trustedOrigins\[1\]/,
  );
});

test("T19: responses that contain tokens are not cached", async () => {
  const ask = async (method: string, path: string, body?: unknown): Promise<string | null> =>
    (await fetch(`${server.url}${path}`, { method, body: JSON.stringify(body) })).headers.get(
      "cache-control",
    );
  for (const [method, path, body] of [
    ["POST", "/api/auth/guest", {}],
    ["POST", "/api/auth/password/login", { email: "a@example.com", password: "wrong" }],
    ["POST", "/api/auth/refresh", {}],
    ["DELETE", "/api/admin/users/x", {}],
  ] as const) {
    expect([path, await ask(method, path, body)]).toEqual([path, "no-store"]);
  }
});
