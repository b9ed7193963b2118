import { LIVE_PROTOCOL } from "@pylonsync/protocol";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestClient, until } from "../support/client.ts";
import { QuerySocket } from "../support/query-socket.ts";
import { ADMIN_TOKEN, appOf, startServer, type TestServer } from "../support/server.ts";

const MIB = 1024 * 1024;
/** Rows of almost 1 MiB each. */
const ROWS = 7;
const STALLED = 8;
/** Commits of almost 1 MiB, of which the kernel buffers about 4. */
const COMMITS = 16;
const LARGE = { entity: "Note", where: { kind: "large" } };

const app = appOf(
  buildManifest({
    name: "queues",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { kind: field.string(), text: field.string(), at: field.int() })],
  }),
);
let server: TestServer;
let admin: TestClient;

beforeAll(async () => {
  server = await startServer(app, {
    PYLON_MAX_QUEUED_BYTES: `${64 * MIB}`,
    // One reader alone may have as much.
    PYLON_SEND_BUFFER_BYTES: `${64 * MIB}`,
  });
  admin = new TestClient(server.url, ADMIN_TOKEN);
  for (let at = 0; at < ROWS; at += 1)
    await admin.insert("Note", { kind: "large", text: "x".repeat(MIB - 1000), at });
});
afterAll(() => server.stop());

/** A client that subscribes, and then reads nothing. */
class StalledReader {
  readonly #socket: Socket;

  private constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on("error", () => undefined);
  }

  /** @param query what it subscribes to */
  static async open(url: string, query: object): Promise<StalledReader> {
    const reader = new StalledReader(url);
    const socket = reader.#socket;
    let head = "";
    socket.on("data", (chunk: Buffer) => (head += chunk.toString("latin1")));
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${LIVE_PROTOCOL}\r\n` +
        `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString("base64")}\r\n\r\n`,
    );
    await until(() => head.includes('"hello"'));
    socket.write(frame(JSON.stringify({ type: "subscribe", id: 1, ...query })));
    await until(() => head.includes('"joined"'));
    socket.pause();
    return reader;
  }

  end(): void {
    this.#socket.destroy();
  }
}

/** A text frame of a client of fewer than 126 bytes, with a mask of zeros. */
function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

test("of readers of an address that read nothing, few are kept; others are served", async () => {
  const stalled: StalledReader[] = [];
  const live = { entity: "Note", where: { kind: "new" } };
  for (let count = 0; count < STALLED; count += 1)
    stalled.push(await StalledReader.open(server.url, live));
  const socket = await QuerySocket.open(admin);
  await socket.subscribe(live);
  for (let at = 0; at < COMMITS; at += 1) {
    await admin.insert("Note", { kind: "new", text: "x".repeat(MIB - 1000), at });
    await socket.commits(at + 1);
  }
  // A quarter of 64 MiB holds the queues of one or two of them.
  await until(async () => {
    const { text } = await admin.request("GET", "/metrics");
    return Number(/slow_clients_total (\d+)/.exec(text)?.[1]) >= STALLED - 3;
  });
  expect(socket.closed).toBeNull();
  socket.socket.close();
  for (const reader of stalled) reader.end();
}, 60_000);

test("nobody waits for one that reads the pages of the same rows more slowly", async () => {
  const stalled = await StalledReader.open(server.url, LARGE);
  const sockets = [await QuerySocket.open(admin), await QuerySocket.open(admin)];
  for (const socket of sockets) {
    await socket.subscribe(LARGE);
    const ids = socket.all("rows").flatMap(({ rows = [] }) => rows.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ROWS);
    socket.socket.close();
  }
  stalled.end();
}, 60_000);

test("a commit that is larger than the queue of a connection is delivered", async () => {
  const own = await startServer(app, { PYLON_SEND_BUFFER_BYTES: "65536" });
  try {
    const author = new TestClient(own.url, ADMIN_TOKEN);
    const socket = await QuerySocket.open(author);
    await socket.subscribe({ entity: "Note" });
    const operations = Array.from({ length: 9 }, (_, at) => ({
      op: "insert",
      entity: "Note",
      data: { kind: "new", text: `${at}`.repeat(MIB - 1000), at },
    }));
    const answer = await author.request("POST", "/api/transact", operations);
    expect(answer.status).toBe(200);
    await until(() => {
      const messages = [...socket.all("rows"), ...socket.all("commit").flatMap((c) => c.changes)];
      return messages.flatMap(({ rows = [] }) => rows).length >= 9;
    });
    expect(socket.closed).toBeNull();
    socket.socket.close();
  } finally {
    await own.stop();
  }
}, 60_000);
