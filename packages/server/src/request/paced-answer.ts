import type { Transfer } from "./transfers.ts";

const CHUNK_BYTES = 64 * 1024;

/**
 * A body that is handed on as fast as its reader takes it, so that what waits for a slow reader is
 * known and bounded.
 *
 * @param open begins to count it; called with what ends it when it is given up
 * @throws PylonError RATE_LIMITED, OVERLOADED
 */
export function pacedBody(
  text: string,
  open: (abort: () => void) => Transfer,
): ReadableStream<Uint8Array> {
  const body = new PacedBody(open);
  body.add(text);
  return body.stream(() => Promise.resolve(null));
}

/**
 * A body that is made while it is read: the next piece only when the one before has been taken.
 *
 * @param pieces of text; an error among them breaks the connection off, because the answer has
 *   begun
 */
export function pacedStream(
  pieces: AsyncIterator<string>,
  open: (abort: () => void) => Transfer,
): ReadableStream<Uint8Array> {
  return new PacedBody(open).stream(async () => {
    const { value, done } = await pieces.next();
    return done === true ? null : value;
  });
}

class PacedBody {
  readonly #encoder = new TextEncoder();
  readonly #transfer: Transfer;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #bytes: Uint8Array = new Uint8Array();
  #sent = 0;

  constructor(open: (abort: () => void) => Transfer) {
    this.#transfer = open(() => this.#controller?.error(new Error("The reader stalled.")));
  }

  /** @throws PylonError RATE_LIMITED, OVERLOADED */
  add(text: string): void {
    const bytes = this.#encoder.encode(text);
    try {
      this.#transfer.add(bytes.length);
    } catch (error) {
      this.#transfer[Symbol.dispose]();
      throw error;
    }
    this.#bytes = bytes;
  }

  stream(next: () => Promise<string | null>): ReadableStream<Uint8Array> {
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
            const text = await next();
            if (this.#transfer.isOver) return;
            if (text === null) {
              this.#transfer[Symbol.dispose]();
              controller.close();
              return;
            }
            this.add(text);
          }
          const chunk = this.#bytes.subarray(0, CHUNK_BYTES);
          this.#bytes = this.#bytes.subarray(chunk.length);
          this.#sent = chunk.length;
          controller.enqueue(chunk);
        },
        cancel: () => this.#transfer[Symbol.dispose](),
      },
      { highWaterMark: 0 },
    );
  }
}
