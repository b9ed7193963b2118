import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";
import { freePorts } from "../support/servers/free-port.ts";

const app = appOf(
  buildManifest({
    name: "ports",
    version: "1.0.0",
    entities: [entity("Note", { text: field.string() })],
  }),
);

/** Sends a WebSocket handshake as plain HTTP, so that a rejection can be read. */
function handshake(url: string): Promise<Response> {
  return fetch(url, {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  });
}

async function codeOf(answer: Promise<Response>): Promise<unknown[]> {
  const response = await answer;
  const body = (await response.json()) as { error?: { code: string; message: string } };
  return [response.status, body.error?.code, body.error?.message];
}

const NO_SHARDS = [503, "SHARDS_NOT_AVAILABLE", "This server hosts no shards."];

describe("a server with four ports", () => {
  let port: number;
  let server: TestServer;
  const at = (offset: number, path: string): string => `http://127.0.0.1:${port + offset}${path}`;
  beforeAll(async () => {
    port = await freePorts(4);
    server = await startServer(app, { PYLON_PORT: String(port) });
  });
  afterAll(() => server.stop());

  test.each([0, 1, 2, 3])("reports on port +%i that it is alive and ready", async (offset) => {
    const health = await fetch(at(offset, "/health"));
    expect([health.status, await health.json()]).toMatchObject([200, { status: "ok" }]);
    const ready = await fetch(at(offset, "/readyz"));
    expect([ready.status, await ready.json()]).toMatchObject([200, { status: "ready" }]);
  });

  test("has no shards on port +3, for any path or method", async () => {
    expect(await codeOf(fetch(at(3, "/?shard=arena&sid=me")))).toEqual(NO_SHARDS);
    expect(await codeOf(fetch(at(3, "/api/shards")))).toEqual(NO_SHARDS);
    expect(
      await codeOf(fetch(at(3, "/api/entities/Note"), { method: "POST", body: "{}" })),
    ).toEqual(NO_SHARDS);
  });

  test("rejects shards on the main port, but returns an empty list to the admin", async () => {
    for (const path of [
      "/shards",
      "/shards/arena",
      "/api/shards",
      "/api/shards/arena",
      "/api/shards/arena/connect?sid=me",
    ])
      expect([path, ...(await codeOf(fetch(at(0, path))))]).toEqual([path, ...NO_SHARDS]);
    expect(
      await codeOf(
        fetch(at(0, "/api/shards/arena/input"), { method: "POST", body: '{"input":1}' }),
      ),
    ).toEqual(NO_SHARDS);
    const listed = await new TestClient(at(0, ""), ADMIN_TOKEN).request("GET", "/api/shards");
    expect([listed.status, listed.text]).toEqual([200, "[]"]);
  });

  test("opens no sync socket on the shard endpoints", async () => {
    expect(await codeOf(handshake(at(3, "/?shard=arena&sid=me")))).toEqual(NO_SHARDS);
    expect(await codeOf(handshake(at(3, "/ws?since=0")))).toEqual(NO_SHARDS);
    expect(await codeOf(handshake(at(0, "/shards?shard=arena&sid=me")))).toEqual(NO_SHARDS);
    expect((await handshake(at(1, "/"))).status).toBe(101);
  });

  test("requires a WebSocket upgrade only on the socket endpoints", async () => {
    for (const url of [at(0, "/ws"), at(0, "/ws?since=0"), at(1, "/"), at(1, "/ws")]) {
      const answer = await fetch(url);
      expect([url, answer.status, answer.headers.get("upgrade")]).toEqual([url, 426, "websocket"]);
      expect(await answer.json()).toMatchObject({
        error: {
          code: "UPGRADE_REQUIRED",
          hint: expect.stringContaining("Upgrade and Connection"),
        },
      });
    }
    expect((await fetch(at(0, "/wss"))).status).toBe(404);
  });

  test("answers a preflight on port +3", async () => {
    const answer = await fetch(at(3, "/"), { method: "OPTIONS", headers: { Origin: at(3, "") } });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([
      204,
      at(3, ""),
    ]);
  });
});

test("PYLON_SINGLE_PORT opens only one port", async () => {
  const port = await freePorts(4);
  const server = await startServer(app, { PYLON_PORT: String(port), PYLON_SINGLE_PORT: "1" });
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
  for (const offset of [1, 2, 3])
    expect(
      await fetch(`http://127.0.0.1:${port + offset}/health`).then(
        ({ status }) => status,
        () => "refused",
      ),
    ).toBe("refused");
  await server.stop();
});
