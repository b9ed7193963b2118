import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { insertText, LIVE_PROTOCOL } from "@pylonsync/protocol";
import { buildManifest, entity, field, policy } from "@pylonsync/sdk";
import { LoroDoc } from "loro-crdt";
import { TestClient, until } from "../support/client.ts";
import { decodeFrame, Editor } from "../support/document-client.ts";
import { appOf, startServer } from "../support/server.ts";

// A reader that does not read must not make the server hold every change of a document for it.

/** All pushes together are more than the system buffers for a socket. */
const PUSHES = 60;

/** Random, so that nothing compresses it; the largest request for random bytes is 64 KiB. */
function randomText(): string {
  const parts = Array.from({ length: 2 }, () => crypto.getRandomValues(new Uint8Array(60_000)));
  return parts.map((bytes) => bytes.toBase64()).join("");
}

/** A WebSocket client whose reading can be paused. */
class PausedReader {
  readonly socket: Socket;
  document = new LoroDoc();
  frames = 0;
  isClosed = false;
  #bytes = Buffer.alloc(0);
  #isOpen = false;

  constructor({ url, token }: TestClient) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.write(
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Authorization: Bearer ${token ?? ""}\r\nSec-WebSocket-Version: 13\r\n` +
        // In version 1 it would receive the rows, too.
        `Sec-WebSocket-Protocol: ${LIVE_PROTOCOL}\r\n` +
        `Sec-WebSocket-Key: ${Buffer.alloc(16, 7).toString("base64")}\r\n\r\n`,
    );
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => (this.isClosed = true));
  }

  async open(): Promise<this> {
    await until(() => this.#isOpen);
    return this;
  }

  /** Sends a message of less than 126 bytes, masked with zeros. */
  send(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    this.socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (!this.#isOpen) {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.#isOpen = true;
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    for (let size = this.#frame(); size > 0; size = this.#frame())
      this.#bytes = this.#bytes.subarray(size);
  }

  /** A snapshot without the history that this document has takes its place. */
  #import(bytes: Uint8Array): void {
    if (this.document.import(bytes).pending === null) return;
    this.document = new LoroDoc();
    this.document.import(bytes);
  }

  /** @returns the size of the first frame; 0 while it is incomplete */
  #frame(): number {
    if (this.#bytes.length < 10) return 0;
    const short = (this.#bytes[1] ?? 0) & 127;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    const length =
      short === 126
        ? this.#bytes.readUInt16BE(2)
        : short === 127
          ? this.#bytes.readUInt32BE(6)
          : short;
    if (this.#bytes.length < head + length) return 0;
    if (((this.#bytes[0] ?? 0) & 15) === 2) {
      this.frames += 1;
      const content = new Uint8Array(this.#bytes.subarray(head, head + length));
      this.#import(decodeFrame(content).bytes);
    }
    return head + length;
  }
}

test("a paused reader is sent the newest state, and not every change", async () => {
  const manifest = buildManifest({
    name: "notes",
    version: "1.0.0",
    entities: [entity("Note", { body: field.richtext() })],
    policies: [policy({ name: "notes", entity: "Note", allow: "auth.userId != null" })],
  });
  const server = await startServer(appOf(manifest));
  try {
    const ann = await TestClient.guest(server.url);
    const id = await ann.insert("Note", { body: "begin" });
    const writer = await Editor.open(ann, "Note", id);
    const reader = await new PausedReader(ann).open();
    reader.send({ type: "crdt-subscribe", entity: "Note", rowId: id });
    await until(() => reader.frames === 1);
    reader.socket.pause();
    const body = writer.field("body");
    for (let count = 0; count < PUSHES; count += 1) {
      body.delete(0, body.length);
      insertText(body, 0, randomText());
      expect((await writer.push()).status).toBe(200);
    }
    await writer.shows("body", body.toString());
    const text = body.toString();
    reader.socket.resume();
    await until(() => reader.document.getMap("row").toJSON()["body"] === text);
    expect(reader.isClosed).toBe(false);
    expect(reader.frames).toBeLessThan(PUSHES);
    reader.socket.destroy();
    writer.close();
  } finally {
    await server.stop();
  }
}, 60_000);
