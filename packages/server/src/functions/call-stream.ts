import { MAX_STREAM_BUFFER, PylonError, UNCOUNTED_BYTES } from "@pylonsync/protocol";
import { CountedAnswer, toPublicError } from "../request/responses.ts";
import { restOf } from "../request/rest-of.ts";
import type { OpenTransfer, Transfer } from "../request/transfers.ts";
import type { EncodedResult } from "./encode-result.ts";
import type { FunctionStream } from "./call.ts";

const encoder = new TextEncoder();

/** The number of buffered bytes above which a write waits for the client. */
const HIGH_WATER = 64 * 1024;
/** The maximum size of what is passed to the connection at a time, in bytes. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Responds to a call with an event stream: each `stream.write` is an unnamed event, each
 * `writeEvent` a named one, and the last event is one `result` or `error`. The call is aborted if
 * its client disconnects, or if too much output is buffered.
 */
export function streamCall(
  run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
  requestId: string,
): CountedAnswer {
  const stream = new CallStream(run, requestId);
  const response = new Response(stream.body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    },
  });
  return new CountedAnswer(response, (open) => stream.count(open));
}

/** The events of one call, which are sent to its client as fast as it reads them. */
class CallStream implements FunctionStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #abort = new AbortController();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #pieces: Uint8Array[] = [];
  /** The bytes of the pieces, and of the chunk that the client has not read yet. */
  #buffered = 0;
  #chunkBytes = 0;
  /** Resolves when there is something to send. */
  #arrival: PromiseWithResolvers<void> | null = null;
  /** Resolves when the client has read the buffered output. */
  #room: PromiseWithResolvers<void> | null = null;
  /** False after the end: output that a handler writes later is discarded. */
  #isOpen = true;
  /** Counts the buffered bytes while there are many; null until the response is sent. */
  #open: OpenTransfer | null = null;
  #transfer: Transfer | null = null;

  constructor(
    run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
    requestId: string,
  ) {
    this.body = new ReadableStream<Uint8Array>(
      {
        // The client reads during the call, so `start` must not return its promise: the stream
        // would wait for it.
        start: (controller) => {
          this.#controller = controller;
          void this.#run(run, requestId);
        },
        pull: () => this.#next(),
        cancel: () => this.#end(new PylonError("INTERNAL", "The client disconnected.")),
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * From now on what is buffered counts among the bytes in flight.
   *
   * @throws PylonError RATE_LIMITED, OVERLOADED when there is no room for it
   */
  count(open: OpenTransfer): void {
    this.#open = open;
    try {
      this.#hold(0);
    } catch (error) {
      this.#end(new PylonError("STREAM_TOO_SLOW", "There is no room for the output."));
      throw error;
    }
  }

  readonly write = (text: string): Promise<void> => this.#send(sseEvent(null, textOf(text)));

  readonly writeEvent = (event: string, text: string): Promise<void> =>
    this.#send(sseEvent(textOf(event), textOf(text)));

  async #run(
    run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
    requestId: string,
  ): Promise<void> {
    try {
      this.#put(sseEvent("result", (await run(this, this.#abort.signal)).json));
    } catch (error) {
      const shown =
        toPublicError(error) ?? new PylonError("INTERNAL", "An internal error occurred.");
      const body = { ...shown.toBody().error, request_id: requestId };
      this.#append(encoder.encode(sseEvent("error", JSON.stringify(body))));
    }
    this.#isOpen = false;
    this.#arrival?.resolve();
    this.#hasRoom();
  }

  /** @throws PylonError RATE_LIMITED, OVERLOADED when there is no room for it */
  #put(text: string): void {
    const piece = encoder.encode(text);
    if (!this.#abort.signal.aborted) this.#hold(piece.length);
    this.#append(piece);
  }

  #append(piece: Uint8Array): void {
    if (this.#abort.signal.aborted) return;
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    this.#arrival?.resolve();
  }

  /** Counts the buffered bytes, and those that are added, once they are many. */
  #hold(bytes: number): void {
    if (this.#open === null) return;
    if (this.#transfer !== null) return this.#transfer.add(bytes);
    if (this.#buffered + bytes <= UNCOUNTED_BYTES) return;
    this.#transfer = this.#open(() => {
      const error = new PylonError("STREAM_TOO_SLOW", "The client stopped reading.");
      this.#controller?.error(error);
      this.#end(error);
    });
    try {
      this.#transfer.add(this.#buffered + bytes);
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** The client has read the last chunk: sends the next one. */
  async #next(): Promise<void> {
    this.#consumed();
    if (this.#pieces.length === 0 && this.#isOpen) {
      this.#arrival = Promise.withResolvers();
      await this.#arrival.promise;
      this.#arrival = null;
    }
    if (this.#abort.signal.aborted) return;
    const [first] = this.#pieces;
    if (first === undefined) {
      this.#release();
      this.#controller?.close();
      return;
    }
    const chunk = first.subarray(0, CHUNK_BYTES);
    if (chunk.length === first.length) this.#pieces.shift();
    else this.#pieces[0] = restOf(first, CHUNK_BYTES);
    this.#chunkBytes = chunk.length;
    this.#controller?.enqueue(chunk);
  }

  #consumed(): void {
    this.#buffered -= this.#chunkBytes;
    this.#transfer?.sent(this.#chunkBytes);
    this.#chunkBytes = 0;
    // A stream that waits for the call, and not for its client, has not stalled.
    if (this.#buffered <= UNCOUNTED_BYTES) this.#release();
    if (this.#buffered < HIGH_WATER) this.#hasRoom();
  }

  #release(): void {
    this.#transfer?.[Symbol.dispose]();
    this.#transfer = null;
  }

  /**
   * @returns a promise that resolves when the client has read enough, and rejects if it has
   *   disconnected; the rejection may be ignored
   */
  #send(text: string): Promise<void> {
    const { signal } = this.#abort;
    if (!this.#isOpen) return Promise.resolve();
    if (!signal.aborted) {
      this.#put(text);
      if (this.#buffered < HIGH_WATER) return Promise.resolve();
      if (this.#buffered <= MAX_STREAM_BUFFER) return this.#whenRoom();
      this.#tooSlow();
    }
    const refused = Promise.reject<void>(signal.reason as PylonError);
    refused.catch(() => undefined);
    return refused;
  }

  #whenRoom(): Promise<void> {
    if (this.#room === null) {
      this.#room = Promise.withResolvers();
      this.#room.promise.catch(() => undefined);
    }
    return this.#room.promise;
  }

  #hasRoom(): void {
    this.#room?.resolve();
    this.#room = null;
  }

  #tooSlow(): void {
    const error = new PylonError(
      "STREAM_TOO_SLOW",
      `More than ${MAX_STREAM_BUFFER} bytes are waiting for the client.`,
      {
        hint: "Await ctx.stream.write, so that it writes no faster than the client reads.",
      },
    );
    this.#controller?.error(error);
    this.#end(error);
  }

  #end(reason: PylonError): void {
    this.#abort.abort(reason);
    this.#pieces = [];
    this.#release();
    this.#arrival?.resolve();
    this.#room?.reject(reason);
    this.#room = null;
  }
}

/** @throws TypeError for a value without a text form, such as an object */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const given = value === null ? "null" : typeof value;
  throw new TypeError(
    `ctx.stream.write requires a string, but was given ${given}: use JSON.stringify.`,
  );
}

/** Formats an event; each line of the text is a `data:` line. */
function sseEvent(event: string | null, text: string): string {
  const name = event === null ? "" : `event: ${event.replaceAll(/[\r\n]/g, " ")}\n`;
  const data = text
    .split(/\r\n|\r|\n/)
    .map((line) => `data: ${line}\n`)
    .join("");
  return `${name}${data}\n`;
}
