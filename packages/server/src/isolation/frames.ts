/**
 * Messages over a socket: four bytes of length, one byte for the encoding, then the value. Small
 * values that JSON preserves are sent as JSON, which takes a third of the time. All others are sent
 * as a structured clone, which also preserves values such as `undefined` in a filter. Sending by
 * Bun's own messages between processes costs several times as much.
 */
import { deserialize, serialize } from "bun:jsc";
import { isSmallJson } from "./small-json.ts";

const HEAD_BYTES = 5;
const AS_JSON = 0;
const AS_CLONE = 1;

/** The largest value that is sent as JSON, in values and characters. */
const MAX_JSON_SIZE = 4_096;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NOTHING = new Uint8Array();

/** Assembles messages from received chunks. */
export class FrameReader {
  #rest = NOTHING;

  /** @returns the messages that are complete with this chunk */
  *take(piece: Uint8Array): Generator<unknown> {
    const bytes = this.#rest.length === 0 ? piece : joined(this.#rest, piece);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const start = at + HEAD_BYTES;
      const end = start + lengthAt(bytes, at);
      if (end > bytes.length) break;
      const message = decoded(bytes[start - 1], bytes.subarray(start, end));
      at = end;
      yield message;
    }
    // A copy, because the socket reuses its memory.
    this.#rest = at === bytes.length ? NOTHING : bytes.slice(at);
  }
}

/**
 * The destination of bytes. It accepts as many as it can, and the rest after it signals that it has
 * room.
 */
export interface ByteSink {
  write(bytes: Uint8Array): number;
}

/** Writes messages to a socket in order. Bytes that the socket does not accept yet are buffered. */
export class FrameWriter {
  readonly #sink: ByteSink;
  readonly #soon: ((work: () => void) => void) | null;
  #waiting: Uint8Array[] = [];
  /** Whether the messages are sent at the end of the turn. */
  #isCollecting = false;
  readonly #flush = (): void => {
    this.#isCollecting = false;
    // A write costs more than the messages themselves.
    if (this.#waiting.length > 1) this.#waiting = [Buffer.concat(this.#waiting)];
    this.drain();
  };

  /**
   * @param soon runs work at the end of the turn of the event loop, when all messages of the turn
   *   are sent with one write; null: each message is sent immediately
   */
  constructor(sink: ByteSink, soon: ((work: () => void) => void) | null = null) {
    this.#sink = sink;
    this.#soon = soon;
  }

  /** @throws Error for a value that can't be cloned, such as a function */
  send(message: unknown): void {
    this.#waiting.push(
      isSmallJson(message, MAX_JSON_SIZE)
        ? frameOf(AS_JSON, encoder.encode(JSON.stringify(message)))
        : frameOf(AS_CLONE, new Uint8Array(serialize(message))),
    );
    if (this.#isCollecting || this.#waiting.length > 1) return;
    if (this.#soon === null) return this.drain();
    this.#isCollecting = true;
    this.#soon(this.#flush);
  }

  /** Whether the socket has accepted all messages. */
  get isDrained(): boolean {
    return this.#waiting.length === 0;
  }

  /** Called when the socket has room. */
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

function frameOf(encoding: number, body: Uint8Array): Uint8Array {
  const { length } = body;
  const frame = new Uint8Array(HEAD_BYTES + length);
  frame[0] = length >>> 24;
  frame[1] = length >>> 16;
  frame[2] = length >>> 8;
  frame[3] = length;
  frame[4] = encoding;
  frame.set(body, HEAD_BYTES);
  return frame;
}

/** A DataView would cost more than the rest of a small message. */
function lengthAt(bytes: Uint8Array, at: number): number {
  const byte = (index: number): number => bytes[at + index] ?? 0;
  return byte(0) * 2 ** 24 + (byte(1) << 16) + (byte(2) << 8) + byte(3);
}

function decoded(encoding: number | undefined, body: Uint8Array): unknown {
  return encoding === AS_JSON ? JSON.parse(decoder.decode(body)) : deserialize(body.slice());
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
}
