import type { Identity } from "../identity/identity.ts";
import type { Platform, Timer } from "../platform.ts";
import { Subscriber, type ConnectionHub, type Cursor, type Outlet } from "./subscriber.ts";

const encoder = new TextEncoder();
/** The message that was encoded last: it goes to many streams, one right after another. */
let last = { text: "", bytes: new Uint8Array() };

function encodeEvent(text: string): Uint8Array {
  if (last.text !== text) last = { text, bytes: encoder.encode(`data: ${text}\n\n`) };
  return last.bytes;
}

/** An event stream as an Outlet. */
class StreamOutlet implements Outlet {
  readonly transport = "sse";
  readonly topics = null;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(controller: ReadableStreamDefaultController<Uint8Array>) {
    this.#controller = controller;
  }

  get #buffered(): number {
    return Math.max(0, HIGH_WATER_MARK - (this.#controller.desiredSize ?? HIGH_WATER_MARK));
  }

  write(text: string): number {
    if (this.#isClosed) return 0;
    this.#controller.enqueue(encodeEvent(text));
    return this.#buffered;
  }

  comment(text: string): void {
    if (!this.#isClosed) this.#controller.enqueue(encoder.encode(`: ${text}\n\n`));
  }

  drained(): Promise<void> {
    if (this.#isClosed || this.#buffered === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A stream has no close codes: the client reconnects and is answered 401 or 410 over HTTP. */
  close(): void {
    if (!this.#isClosed) this.#controller.close();
    this.release(true);
  }

  terminate(): void {
    this.close();
  }

  release(isClosed: boolean): void {
    this.#isClosed ||= isClosed;
    if (!this.#isClosed && this.#buffered > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

const HIGH_WATER_MARK = 64 * 1024;
/**
 * The longest silence of a stream, in milliseconds: a client can ask nothing over it, and has only
 * the silence to know a dead one by.
 */
const MAX_SILENCE_MS = 10_000;

/** Answers an event stream that carries what a socket carries. */
export function openEventStream(
  start: { readonly identity: Identity; readonly cursor: Cursor | null },
  hub: ConnectionHub,
  options: {
    readonly sendBufferBytes: number;
    readonly pingMs: number;
    readonly onEnd: () => void;
    readonly platform: Platform;
  },
): Response {
  let outlet: StreamOutlet | undefined;
  let subscriber: Subscriber | undefined;
  const silenceMs = Math.min(options.pingMs, MAX_SILENCE_MS);
  const { platform } = options;
  let keepalive: Timer | undefined;
  const end = (): void => {
    keepalive?.cancel();
    outlet?.release(true);
    if (subscriber === undefined) return;
    hub.leave(subscriber);
    subscriber = undefined;
    options.onEnd();
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        outlet = new StreamOutlet(controller);
        subscriber = new Subscriber(start.identity, outlet, options.sendBufferBytes, platform);
        outlet.comment("connected");
        // The client gives the stream up when it hears less.
        outlet.comment(`keepalive every ${silenceMs / 1000} s`);
        keepalive = platform.every(silenceMs, () => {
          if (subscriber?.isOpen === true) outlet?.comment("keepalive");
          else end();
        });
        void hub.join(subscriber, start.cursor).then(() => {
          if (subscriber?.isOpen === false) end();
        });
      },
      pull: () => outlet?.release(false),
      cancel: end,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_MARK }),
  );
  return new Response(stream, {
    headers: {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no",
    },
  });
}
