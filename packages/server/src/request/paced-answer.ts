import type { Compressor } from "./compression.ts";
import { restOf } from "./rest-of.ts";
import type { Transfer } from "./transfers.ts";

const CHUNK_BYTES = 64 * 1024;
const encoder = new TextEncoder();

/**
 * Creates a body that is produced as fast as its reader consumes it, so that the amount that waits
 * for a slow reader is known and bounded.
 *
 * @param open starts to count it; its argument ends the body when it is aborted
 * @param compressor null: it is sent uncompressed
 * @throws PylonError RATE_LIMITED, OVERLOADED
 */
export function pacedBody(
  text: string,
  open: (abort: () => void) => Transfer,
  compressor: Compressor | null,
): ReadableStream<Uint8Array> {
  return wholeBody(encoder.encode(text), open, compressor);
}

/**
 * Creates such a body from bytes, which are sent uncompressed.
 *
 * @throws PylonError RATE_LIMITED, OVERLOADED
 */
export function pacedBytes(
  bytes: Uint8Array,
  open: (abort: () => void) => Transfer,
): ReadableStream<Uint8Array> {
  return wholeBody(bytes, open, null);
}

function wholeBody(
  bytes: Uint8Array,
  open: (abort: () => void) => Transfer,
  compressor: Compressor | null,
): ReadableStream<Uint8Array> {
  const body = new PacedBody(open, compressor);
  const kept: { bytes: Uint8Array | null } = { bytes: body.hold(bytes) };
  return body.stream(() => {
    const next = kept.bytes;
    kept.bytes = null;
    return Promise.resolve(next);
  });
}

/**
 * Creates a body that is produced while it is read: each chunk after the previous one was consumed.
 *
 * @param pieces of text; an error in it aborts the connection, because the response has started
 * @param compressor null: it is sent uncompressed
 */
export function pacedStream(
  pieces: AsyncIterator<string>,
  open: (abort: () => void) => Transfer,
  compressor: Compressor | null,
): ReadableStream<Uint8Array> {
  const body = new PacedBody(open, compressor);
  return body.stream(async () => {
    const { value, done } = await pieces.next();
    return done === true ? null : body.hold(encoder.encode(value));
  });
}

class PacedBody {
  readonly #transfer: Transfer;
  readonly #compressor: Compressor | null;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #bytes: Uint8Array = new Uint8Array();
  #sent = 0;
  #hasEnded = false;

  constructor(open: (abort: () => void) => Transfer, compressor: Compressor | null) {
    this.#compressor = compressor;
    this.#transfer = open(() => {
      compressor?.close();
      this.#bytes = new Uint8Array();
      this.#controller?.error(new Error("The client stopped reading."));
    });
  }

  /**
   * Counts bytes that are about to be sent.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  hold(bytes: Uint8Array): Uint8Array {
    try {
      this.#transfer.add(bytes.length);
    } catch (error) {
      this.#dispose();
      throw error;
    }
    return bytes;
  }

  /** @param next returns what was held, or null at the end */
  stream(next: () => Promise<Uint8Array | null>): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: async (controller) => {
          // The previous chunk was consumed.
          this.#transfer.sent(this.#sent);
          this.#sent = 0;
          while (this.#bytes.length === 0) {
            if (!this.#hasEnded) this.#bytes = await this.#encoded(next);
            if (this.#transfer.isOver) return;
            if (this.#bytes.length > 0 || !this.#hasEnded) continue;
            this.#dispose();
            controller.close();
            return;
          }
          // A copy, because the runtime keeps a part of an array together with all of it.
          const chunk = new Uint8Array(this.#bytes.subarray(0, CHUNK_BYTES));
          this.#bytes = restOf(this.#bytes, chunk.length);
          this.#sent = chunk.length;
          controller.enqueue(chunk);
        },
        cancel: () => this.#dispose(),
      },
      { highWaterMark: 0 },
    );
  }

  /** Returns the next chunk, encoded as it is sent. */
  async #encoded(next: () => Promise<Uint8Array | null>): Promise<Uint8Array> {
    const bytes = await next();
    this.#hasEnded = bytes === null;
    if (this.#compressor === null || this.#transfer.isOver) return bytes ?? new Uint8Array();
    const made = await (bytes === null ? this.#compressor.end() : this.#compressor.add(bytes));
    this.#transfer.sent(bytes?.length ?? 0);
    this.#transfer.add(made.length);
    return made;
  }

  #dispose(): void {
    this.#transfer[Symbol.dispose]();
    this.#compressor?.close();
  }
}
