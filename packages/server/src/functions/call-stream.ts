import { MAX_STREAM_BUFFER, PylonError } from "@pylonsync/protocol";
import { toPublicError } from "../request/responses.ts";
import type { EncodedResult } from "./encode-result.ts";
import type { FunctionStream } from "./call.ts";

const encoder = new TextEncoder();

/** The number of buffered bytes above which a write waits for the client. */
const HIGH_WATER = 64 * 1024;

/**
 * Responds to a call with an event stream: each `stream.write` is an unnamed event, each
 * `writeEvent` a named one, and the last event is one `result` or `error`. The call is aborted if
 * its client disconnects, or if too much output is buffered.
 */
export function streamCall(
  run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
  requestId: string,
): Response {
  return new Response(new CallStream(run, requestId).body, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    },
  });
}

/** The events of one call, which are sent to its client. */
class CallStream implements FunctionStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #abort = new AbortController();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Resolves when the client has read the buffered output. */
  #room: PromiseWithResolvers<void> | null = null;
  /** False after the end: output that a handler writes later is discarded. */
  #isOpen = true;

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
        pull: () => this.#hasRoom(),
        cancel: () => this.#end(new PylonError("INTERNAL", "The client disconnected.")),
      },
      { highWaterMark: HIGH_WATER, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  readonly write = (text: string): Promise<void> => this.#send(sseEvent(null, textOf(text)));

  readonly writeEvent = (event: string, text: string): Promise<void> =>
    this.#send(sseEvent(textOf(event), textOf(text)));

  async #run(
    run: (stream: FunctionStream, signal: AbortSignal) => Promise<EncodedResult>,
    requestId: string,
  ): Promise<void> {
    let last: string;
    try {
      last = sseEvent("result", (await run(this, this.#abort.signal)).json);
    } catch (error) {
      const shown =
        toPublicError(error) ?? new PylonError("INTERNAL", "An internal error occurred.");
      last = sseEvent("error", JSON.stringify({ ...shown.toBody().error, request_id: requestId }));
    }
    if (!this.#abort.signal.aborted) {
      this.#controller?.enqueue(encoder.encode(last));
      this.#controller?.close();
    }
    this.#isOpen = false;
    this.#hasRoom();
  }

  /**
   * @returns a promise that resolves when the client has read enough, and rejects if it has
   *   disconnected; the rejection may be ignored
   */
  #send(text: string): Promise<void> {
    const { signal } = this.#abort;
    if (!this.#isOpen) return Promise.resolve();
    if (!signal.aborted) {
      this.#controller?.enqueue(encoder.encode(text));
      const free = this.#controller?.desiredSize ?? 0;
      if (free > 0) return Promise.resolve();
      if (HIGH_WATER - free <= MAX_STREAM_BUFFER) return this.#whenRoom();
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
