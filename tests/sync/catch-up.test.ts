import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { mutation, v } from "@pylonsync/functions";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { aMoment, TestClient, until, type LiveSocket } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

/** The length of the texts that `addLarge` inserts. */
const BYTES_OF_CALL = 9_600_000;

const Item = entity("Item", { n: field.int(), text: field.string().default("") });
const manifest = buildManifest({
  name: "items",
  version: "1.0.0",
  entities: [Item],
  access: "public",
});
const functions = {
  addLarge: mutation({
    handler: async (ctx) => {
      const text = "x".repeat(BYTES_OF_CALL / 10);
      for (let n = 0; n < 10; n += 1) await ctx.db.insert("Item", { n, text });
    },
  }),
  addThenThrow: mutation({
    args: { n: v.int() },
    handler: async (ctx, { n }) => {
      await ctx.db.insert("Item", { n });
      await ctx.db.insert("Item", { n: n + 1 });
      throw ctx.error("NO_LUCK", "changed my mind");
    },
  }),
  addTwo: mutation({
    args: { n: v.int() },
    handler: async (ctx, { n }) => {
      await ctx.db.insert("Item", { n });
      await ctx.db.insert("Item", { n: n + 1 });
      return { count: await ctx.db.count("Item") };
    },
  }),
};

let server: TestServer;
let client: TestClient;
const head = async (): Promise<number> =>
  (
    (await client.request("GET", "/api/sync/pull?since=0&limit=0")).body["cursor"] as {
      last_seq: number;
    }
  ).last_seq;

beforeAll(async () => {
  server = await startServer(appOf(manifest, functions));
  client = await TestClient.guest(server.url);
});
afterAll(() => server.stop());

test("a mutation that throws leaves no row, no change and no message", async () => {
  const before = await head();
  const socket = await client.live(before).ready();
  const answer = await client.request("POST", "/api/fn/addThenThrow", { n: 1000 });
  expect(answer).toMatchObject({
    status: 400,
    body: { error: { code: "NO_LUCK", message: "changed my mind" } },
  });
  expect((await client.request("POST", "/api/query/Item", { n: { $gte: 1000 } })).text).toBe("[]");
  expect(await head()).toBe(before);
  await aMoment();
  expect(socket.events).toEqual([]);

  expect((await client.request("POST", "/api/fn/addTwo", { n: 1000 })).status).toBe(200);
  const events = await socket.heard(2);
  expect(events.map(({ seq }) => seq)).toEqual([before + 1, before + 2]);
  socket.close();
});

test("a returning client gets what it missed, in order, by socket and pull", async () => {
  const known = await client.insert("Item", { n: 1, text: "as it was" });
  const brief = await client.insert("Item", { n: 2 });
  const cursor = await head();
  await client.request("PATCH", `/api/entities/Item/${known}`, { n: 10 });
  const id = await client.insert("Item", { n: 3 });
  await client.request("DELETE", `/api/entities/Item/${brief}`);
  const socket = await client.live(cursor).ready();
  const pulled = (await client.request("GET", `/api/sync/pull?since=${cursor}`)).body;
  const timestamp = expect.stringMatching(/^\d{4}-.*Z$/) as unknown as string;
  const common = { entity: "Item", timestamp };
  expect(pulled["changes"]).toEqual([
    { ...common, seq: cursor + 1, row_id: known, kind: "update", data: { n: 10 } },
    { ...common, seq: cursor + 2, row_id: id, kind: "insert", data: { id, n: 3, text: "" } },
    { ...common, seq: cursor + 3, row_id: brief, kind: "delete" },
  ]);
  expect(socket.events).toEqual(pulled["changes"] as never);
  await client.insert("Item", { n: 4 });
  expect((await socket.heard(4)).map(({ seq }) => seq)).toEqual(
    [1, 2, 3, 4].map((n) => cursor + n),
  );
  socket.close();
});

test("sockets that join during writes receive every change once and in order", async () => {
  const cursor = await head();
  const writes = (async () => {
    for (let n = 0; n < 200; n += 1) await client.insert("Item", { n });
  })();
  const sockets = [];
  for (let index = 0; index < 20; index += 1) {
    sockets.push(client.live(cursor));
    await Bun.sleep(3);
  }
  await writes;
  const wanted = Array.from({ length: 200 }, (_, n) => cursor + 1 + n);
  for (const socket of sockets) {
    await socket.heard(200);
    expect(socket.events.map(({ seq }) => seq)).toEqual(wanted);
    socket.close();
  }
});

test("an older client that pulls, then opens a socket, misses nothing between", async () => {
  const { last_seq: cursor } = (await client.request("GET", "/api/sync/pull?since=0")).body[
    "cursor"
  ] as { last_seq: number };
  const id = await client.insert("Item", { n: 77 });
  const socket = await client.live().opened();
  await until(() =>
    socket.events.some(({ row_id: rowId, seq }) => rowId === id && seq === cursor + 1),
  );
  socket.close();
});

test("many older clients that open sockets after many writes all get them", async () => {
  const own = await startServer(appOf(manifest), { PYLON_MAX_CONNECTIONS_PER_IP: "1000" });
  const admin = new TestClient(own.url, ADMIN_TOKEN);
  const caller = await TestClient.guest(own.url);
  const [sockets, writes] = [300, 600];
  const operations = Array.from({ length: writes }, (_, n) => {
    return { op: "insert", entity: "Item", data: { n } };
  });
  expect((await admin.request("POST", "/api/batch", { operations })).status).toBe(200);
  const opened = Array.from({ length: sockets }, () => caller.live());
  const isDone = ({ texts, closed }: LiveSocket): boolean =>
    texts.length >= writes || closed !== null;
  await until(() => opened.every(isDone));
  for (const socket of opened) {
    expect([socket.closed, socket.events.length]).toEqual([null, writes]);
    socket.close();
  }
  await own.stop();
});

test("a cursor that is too old, from the future or of another log gets 410", async () => {
  const own = await startServer(appOf(manifest), { PYLON_CHANGE_LOG_MAX: "5" });
  const caller = await TestClient.guest(own.url);
  for (let n = 0; n < 20; n += 1) await caller.insert("Item", { n });
  await own.server.maintain();
  const old = await caller.request("GET", "/api/sync/pull?since=3");
  expect(old).toMatchObject({
    status: 410,
    body: { error: { code: "RESYNC_REQUIRED", oldest_seq: 16 } },
  });
  expect((await caller.request("GET", "/api/sync/pull?since=15")).status).toBe(200);
  expect((await caller.request("GET", "/api/sync/pull?since=21")).status).toBe(410);
  expect((await caller.request("GET", "/api/sync/pull?since=18&epoch=other")).status).toBe(410);

  const socket = caller.live(3);
  await until(() => socket.closed !== null);
  expect(socket.texts.map((text) => JSON.parse(text) as unknown)).toMatchObject([
    { type: "resync" },
  ]);
  // From the beginning it gets everything, in pages.
  const first = (await caller.request("GET", "/api/sync/pull?since=0&limit=15")).body;
  const second = (
    await caller.request(
      "GET",
      `/api/sync/pull?since=0&limit=15&page=${first["next_page"] as string}`,
    )
  ).body;
  expect([
    (first["changes"] as unknown[]).length,
    (second["changes"] as unknown[]).length,
    second["next_page"],
  ]).toEqual([15, 5, undefined]);
  await own.stop();
});

/** An open socket that reads nothing from then on. */
async function pausedReader(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.write(
    "GET /ws?since=0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: " +
      "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
      "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  return socket;
}

test("a slow reader is told to resync, and does not grow the server's memory", async () => {
  const own = await startServer(appOf(manifest, functions), { PYLON_SEND_BUFFER_BYTES: "65536" });
  const admin = new TestClient(own.url, ADMIN_TOKEN);
  const [slow, stuck, quick] = await Promise.all([
    pausedReader(own.url),
    pausedReader(own.url),
    pausedReader(own.url),
  ]);
  let delivered = 0;
  quick.on("data", (chunk: Buffer) => (delivered += chunk.length));
  quick.resume();
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const write = async (calls: number): Promise<void> => {
    for (let n = 0; n < calls; n += 1) await admin.request("POST", "/api/fn/addLarge", {});
  };
  // Only a little: a client that is cut off has ten seconds to read what was already sent.
  await write(2);
  // Also a quick reader may be cut off, if everything is delivered at once.
  await until(() => delivered > 2 * BYTES_OF_CALL || quick.closed);
  quick.destroy();
  let heard = "";
  slow.on("data", (chunk: Buffer) => {
    heard = (heard + chunk.toString("latin1")).slice(-200);
  });
  slow.resume();
  await new Promise((resolve) => slow.once("close", resolve));
  expect(heard).toContain("resync");
  await write(8);
  Bun.gc(true);
  // 96 MB were written to a client that read nothing.
  expect(process.memoryUsage.rss() - before).toBeLessThan(80 * 1024 * 1024);
  stuck.destroy();
  await own.stop();
}, 60_000);
