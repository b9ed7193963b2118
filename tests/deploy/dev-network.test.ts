import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import {
  noteApp,
  pylon,
  PylonProcess,
  TempFolder,
} from "../../packages/cli/src/testing/pylon-process.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { freePorts } from "../support/servers/free-port.ts";

/** An address of this machine other than the one that dev listens on. */
const ANOTHER = "127.0.0.2";

function answers(host: string, port: number): Promise<boolean> {
  return fetch(`http://${host}:${port}/health`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

test.each([
  ["this machine alone by default", [], "127.0.0.1", false],
  ["every address with --host 0.0.0.0", ["--host", "0.0.0.0"], "0.0.0.0", true],
])("S3: dev listens on %s, on all four ports", async (_what, flags, host, isOpen) => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  const port = await freePorts(4);
  await using dev = new PylonProcess(["dev", "--port", String(port), ...flags], folder.path);
  expect(await dev.event()).toMatchObject({ code: "DEV_OK", port, host });
  for (const offset of [0, 1, 2, 3]) {
    expect([offset, await answers("127.0.0.1", port + offset)]).toEqual([offset, true]);
    expect([offset, await answers(ANOTHER, port + offset)]).toEqual([offset, isOpen]);
  }
  await dev.end();
  expect((await dev.stderr).includes("everyone who can reach this server")).toBe(isOpen);
});

test.each([
  [1, "WebSockets"],
  [2, "event streams"],
  [3, "shards"],
])("U: the unconfigured port +%i is reported to be for %s", async (offset, purpose) => {
  using folder = new TempFolder();
  folder.write({ "app.ts": noteApp("text: field.string()") });
  const port = await freePorts(4);
  using _taken = Bun.serve({
    port: port + offset,
    hostname: "127.0.0.1",
    fetch: () => new Response(),
  });
  const { exitCode, stderr } = await pylon(["dev", "--port", String(port)], folder.path);
  expect([exitCode, stderr]).toEqual([
    1,
    expect.stringContaining(
      `Port ${port + offset} is in use: it is the port ${port} + ${offset}, for ${purpose}`,
    ),
  ]);
  expect(stderr).toContain("PYLON_SINGLE_PORT=1");
});

describe("S3: a page that the developer visits", () => {
  const app = appOf(
    buildManifest({
      name: "open",
      version: "1.0.0",
      entities: [entity("Note", { text: field.string() })],
    }),
  );
  let dev: TestServer;
  beforeAll(async () => {
    dev = await startServer(app, {
      PYLON_DEV_MODE: "1",
      PYLON_CORS_ORIGIN: "https://named.example",
      PYLON_TRUSTED_ORIGINS: "https://trusted.example",
    });
  });
  afterAll(() => dev.stop());

  const HANDSHAKE = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  /**
   * Each route to the rows, the mail and the admin, as a page can request it without permission.
   */
  const REQUESTS: readonly (readonly [path: string, init: RequestInit])[] = [
    ["/", {}],
    ["/api/entities/Note", {}],
    ["/api/entities/Note", { method: "POST", body: '{"text":"a"}' }],
    ["/api/sync/pull", {}],
    ["/api/sync/push", { method: "POST", body: '{"changes":[]}' }],
    ["/api/auth/guest", { method: "POST", body: "{}" }],
    ["/api/manifest", {}],
    ["/api/fn", {}],
    ["/metrics", {}],
    ["/studio/mail", {}],
    ["/studio/mail.json", {}],
    ["/events", {}],
    ["/ws", { headers: HANDSHAKE }],
  ];
  const ask = async (
    [path, init]: (typeof REQUESTS)[number],
    origin: string,
  ): Promise<{ readonly isRefused: boolean; readonly allowed: string | null }> => {
    const headers = { ...(init.headers as typeof HANDSHAKE | undefined), Origin: origin };
    const abort = new AbortController();
    const { status, headers: answered } = await fetch(dev.url + path, {
      ...init,
      headers,
      signal: abort.signal,
    });
    abort.abort();
    return { isRefused: status === 403, allowed: answered.get("access-control-allow-origin") };
  };

  test.each([
    "https://evil.example",
    "http://localhost.evil.example",
    "http://192.168.1.9",
    "null",
  ])("of %s gets nothing, on any path", async (origin) => {
    for (const request of REQUESTS)
      expect([request[0], await ask(request, origin)]).toEqual([
        request[0],
        { isRefused: true, allowed: null },
      ]);
    const rows = await fetch(`${dev.url}/api/export`, {
      headers: { Authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(await rows.text()).not.toContain('"text":"a"');
  });

  test.each([
    "http://localhost:5173",
    "http://127.0.0.1:3000",
    "http://app.localhost:8080",
    "https://[::1]:8443",
    "https://named.example",
  ])("of %s, which is local or configured, may read", async (origin) => {
    expect(await ask(["/api/entities/Note", {}], origin)).toEqual({
      isRefused: false,
      allowed: origin,
    });
  });

  test("of a trusted origin may write", async () => {
    const init = { method: "POST", body: '{"text":"trusted"}' };
    expect(await ask(["/api/entities/Note", init], "https://trusted.example")).toMatchObject({
      isRefused: false,
    });
  });
});
