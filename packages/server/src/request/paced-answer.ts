import type { Compressor } from "./compression.ts";
import type { Transfer } from "./transfers.ts";

const CHUNK_BYTES = 64 * 1024;

/**
 * A body that is handed on as fast as its reader takes it, so that what waits for a slow reader is
 * known and bounded.
 *
 * @param open begins to count it; called with what ends it when it is given up
 * @param compressor null: it is sent as it is
 * @throws PylonError RATE_LIMITED, OVERLOADED
 */
export function pacedBody(
  text: string,
  open: (abort: () => void) => Transfer,
  compressor: Compressor | null,
): ReadableStream<Uint8Array> {
  const body = new PacedBody(open, compressor);
  const bytes = body.hold(text);
  let isTaken = false;
  return body.stream(() => {
    if (isTaken) return Promise.resolve(null);
    isTaken = true;
    return Promise.resolve(bytes);
  });
}

/**
 * A body that is made while it is read: the next piece only when the one before has been taken.
 *
 * @param pieces of text; an error among them breaks the connection off, because the answer has
 *   begun
 * @param compressor null: it is sent as it is
 */
export function pacedStream(
  pieces: AsyncIterator<string>,
  open: (abort: () => void) => Transfer,
  compressor: Compressor | null,
): ReadableStream<Uint8Array> {
  const body = new PacedBody(open, compressor);
  return body.stream(async () => {
    const { value, done } = await pieces.next();
    return done === true ? null : body.hold(value);
  });
}

class PacedBody {
  readonly #encoder = new TextEncoder();
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
      this.#controller?.error(new Error("The client stopped reading."));
    });
  }

  /**
   * Counts a text that is about to be sent.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED
   */
  hold(text: string): Uint8Array {
    const bytes = this.#encoder.encode(text);
    try {
      this.#transfer.add(bytes.length);
    } catch (error) {
      this.#dispose();
      throw error;
    }
    return bytes;
  }

  /** @param next answers what was held; null: that was all */
  stream(next: () => Promise<Uint8Array | null>): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: async (controller) => {
          // What was handed on before has been taken.
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
          const chunk = this.#bytes.subarray(0, CHUNK_BYTES);
          this.#bytes = this.#bytes.subarray(chunk.length);
          this.#sent = chunk.length;
          controller.enqueue(chunk);
        },
        cancel: () => this.#dispose(),
      },
      { highWaterMark: 0 },
    );
  }

  /** The next piece, as it is sent. */
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
