import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { buildManifest, entity, field } from "@pylonsync/sdk";
import { TestClient } from "../support/client.ts";
import { ADMIN_TOKEN, appOf, startServer } from "../support/server.ts";

/** The number of readers that are reached together. */
const READERS = 16;
const TEXT_BYTES = 16 * 1024;
const PUSH = 40;
/** More than the kernel buffers for a reader that reads nothing. */
const PUSHES = 32;

/** A WebSocket client whose reading can be paused. */
class RawReader {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  readonly seqs: number[] = [];
  readonly closed: Promise<void>;
  #hasAnswer = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.write(
      "GET /ws?since=0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString("base64")}\r\n\r\n`,
    );
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  async ready(): Promise<this> {
    while (!this.#hasAnswer) await Bun.sleep(2);
    return this;
  }

  pause(): void {
    this.#socket.pause();
  }
  resume(): void {
    this.#socket.resume();
  }
  end(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.subarray(0, 4).toString() === "HTTP") {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    for (let size = this.#frame(); size > 0; size = this.#frame())
      this.#bytes = this.#bytes.subarray(size);
  }

  /** @returns the size of the first frame; 0 while it is incomplete */
  #frame(): number {
    if (this.#bytes.length < 2) return 0;
    const short = (this.#bytes[1] ?? 0) & 127;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (this.#bytes.length < head) return 0;
    const length =
      short === 126
        ? this.#bytes.readUInt16BE(2)
        : short === 127
          ? this.#bytes.readUInt32BE(6)
          : short;
    if (this.#bytes.length < head + length) return 0;
    const content = this.#bytes.subarray(head, head + length);
    const kind = (this.#bytes[0] ?? 0) & 15;
    if (kind === 1) this.#message(content.toString("latin1", 0, 80));
    return head + length;
  }

  #message(start: string): void {
    if (start.includes('"type":"hello"')) this.#hasAnswer = true;
    const seq = /^\{"seq":(\d+),"entity":/.exec(start)?.[1];
    if (seq !== undefined) this.seqs.push(Number(seq));
  }
}

test("a reader that stops is cut off without a gap, and others get all in order", async () => {
  const manifest = buildManifest({
    name: "slow",
    version: "1.0.0",
    access: "public",
    entities: [entity("Note", { text: field.string() })],
  });
  const server = await startServer(appOf(manifest), { PYLON_SEND_BUFFER_BYTES: "65536" });
  const admin = new TestClient(server.url, ADMIN_TOKEN);
  const readers = await Promise.all(
    Array.from({ length: READERS }, () => new RawReader(server.url).ready()),
  );
  const slow = await new RawReader(server.url).ready();
  slow.pause();
  let written = 0;
  for (let push = 0; push < PUSHES; push += 1) {
    const changes = Array.from({ length: PUSH }, (_, index) => ({
      entity: "Note",
      row_id: `n${push}-${index}`,
      kind: "insert",
      // Small, large, and sometimes larger than the free space of a reader's buffer.
      data: {
        text: "x".repeat(
          index % 13 === 5 ? 90_000 : index % 3 === 0 ? 10 : push % 4 < 3 ? 8000 : TEXT_BYTES,
        ),
      },
    }));
    const answer = await admin.request("POST", "/api/sync/push", { changes });
    expect(answer.body["applied"]).toBe(PUSH);
    written += PUSH;
    // The others keep receiving while the slow one is behind.
    while (readers.some(({ seqs }) => seqs.length < written)) await Bun.sleep(2);
  }
  slow.resume();
  await slow.closed;
  const all = Array.from({ length: written }, (_, index) => index + 1);
  for (const { seqs } of readers) expect(seqs).toEqual(all);
  expect(slow.seqs.length).toBeLessThan(written);
  expect(slow.seqs).toEqual(all.slice(0, slow.seqs.length));
  for (const reader of readers) reader.end();
  await server.stop();
}, 60_000);
