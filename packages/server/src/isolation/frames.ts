/**
 * Messages over a socket: four bytes of length, then the value as a structured clone, which keeps
 * what JSON would lose, such as `undefined` in a filter. A send costs a third of one by Bun's own
 * messages between processes.
 */
import { deserialize, serialize } from "bun:jsc";

const HEAD_BYTES = 4;

/** Puts what arrives in pieces together to messages. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array();

  /** @returns the messages that are whole now */
  *take(piece: Uint8Array): Generator<unknown> {
    const bytes = this.#rest.length === 0 ? piece : joined(this.#rest, piece);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + view.getUint32(at);
      if (end > bytes.length) break;
      const message: unknown = deserialize(bytes.slice(at + HEAD_BYTES, end));
      at = end;
      yield message;
    }
    // A copy: the socket uses its memory again.
    this.#rest = bytes.slice(at);
  }
}

/** Where bytes are written: as many as it takes, the others when it says that there is room. */
export interface ByteSink {
  write(bytes: Uint8Array): number;
}

/** Writes messages to a socket, in order. What the socket does not take yet waits. */
export class FrameWriter {
  readonly #sink: ByteSink;
  readonly #waiting: Uint8Array[] = [];

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** @throws Error for what has no structured clone, such as a function */
  send(message: unknown): void {
    const body = new Uint8Array(serialize(message));
    const bytes = new Uint8Array(HEAD_BYTES + body.length);
    new DataView(bytes.buffer).setUint32(0, body.length);
    bytes.set(body, HEAD_BYTES);
    this.#waiting.push(bytes);
    if (this.#waiting.length === 1) this.drain();
  }

  /** The socket has room. */
  drain(): void {
    for (;;) {
      const [bytes] = this.#waiting;
      if (bytes === undefined) return;
      const written = Math.max(0, this.#sink.write(bytes));
      if (written === bytes.length) this.#waiting.shift();
      else {
        this.#waiting[0] = bytes.subarray(written);
        return;
      }
    }
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}
