import type { Identity } from "../identity/identity.ts";
import type { Platform, Timer } from "../platform.ts";
import {
  Subscriber,
  type ConnectionHub,
  type Cursor,
  type Outlet,
  type OutletTopics,
} from "./subscriber.ts";
import type { SendQueues } from "./send-queues.ts";
import { TopicPublisher } from "./topic-publisher.ts";

const encoder = new TextEncoder();

/** An event stream as an Outlet. */
class StreamOutlet implements Outlet {
  readonly transport = "sse";
  readonly topics: OutletTopics;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #turns: StreamTurns;
  /** The messages written in this turn, in order. */
  #texts: string[] = [];
  #textLength = 0;
  /** The bytes that were queued for the reader when the turn's first message was written. */
  #backlog = 0;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(controller: ReadableStreamDefaultController<Uint8Array>, turns: StreamTurns) {
    this.#controller = controller;
    this.#turns = turns;
    this.topics = {
      publisher: turns.publisher,
      enter: (topic) => turns.enter(topic, this),
      leave: (topic) => turns.leave(topic, this),
    };
  }

  get #buffered(): number {
    const { desiredSize } = this.#controller;
    return Math.max(0, HIGH_WATER_MARK - (desiredSize ?? HIGH_WATER_MARK));
  }

  /** The bytes queued for the reader, and until the end of the turn. */
  get #unsent(): number {
    return this.#buffered + this.#textLength;
  }

  write(text: string): number {
    if (this.#isClosed) return 0;
    this.#turns.settle();
    if (this.#texts.push(text) === 1) {
      this.#turns.add(this);
      this.#backlog = this.#buffered;
    }
    this.#textLength += text.length;
    return this.#backlog + this.#textLength;
  }

  comment(text: string): void {
    if (this.#isClosed) return;
    this.flush();
    this.#controller.enqueue(encoder.encode(`: ${text}\n\n`));
  }

  /** Writes the messages of the turn to the stream. */
  flush(): void {
    if (this.#isClosed || this.#texts.length === 0) return;
    this.#controller.enqueue(this.#turns.encoded(this.#texts));
    this.#texts = [];
    this.#textLength = 0;
    this.release(false);
  }

  /** Writes published messages, after those that were written before. */
  take(events: Uint8Array): void {
    this.flush();
    if (!this.#isClosed) this.#controller.enqueue(events);
  }

  queued(): number {
    return this.#isClosed ? 0 : this.#unsent;
  }

  drained(): Promise<void> {
    this.#turns.settle();
    if (this.#isClosed || this.#unsent === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A stream has no close codes: the client reconnects and is answered 401 or 410 over HTTP. */
  close(): void {
    this.#turns.settle();
    this.flush();
    if (!this.#isClosed) this.#controller.close();
    this.release(true);
  }

  /** Ends the stream with an error, so that the runtime drops what is queued. */
  terminate(): void {
    this.#turns.settle();
    this.#texts = [];
    this.#textLength = 0;
    if (!this.#isClosed) this.#controller.error(new Error("The client reads too slowly."));
    this.release(true);
  }

  release(isClosed: boolean): void {
    this.#isClosed ||= isClosed;
    if (this.#waiting.length === 0) return;
    if (!this.#isClosed && this.#unsent > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/**
 * Collects the messages to streams in one turn of the event loop: each stream is written to once,
 * and a message to many streams is encoded once. A published message costs nothing per stream
 * before the end of the turn.
 */
export class StreamTurns {
  /** Publishes to the streams of a topic. */
  readonly publisher: TopicPublisher;
  readonly #soon: Platform["soon"];
  readonly #topics = new Map<string, Set<StreamOutlet>>();
  /** The messages published last to one topic, which wait for the end of the turn. */
  #published: { readonly topic: string; readonly texts: string[] } | null = null;
  #isScheduled = false;
  #written: StreamOutlet[] = [];
  #last: { readonly texts: readonly string[]; readonly bytes: Uint8Array } | null = null;

  constructor({ soon }: Pick<Platform, "soon">) {
    this.#soon = soon;
    this.publisher = new TopicPublisher((topic, text) => this.#publish(topic, text), soon);
  }

  enter(topic: string, stream: StreamOutlet): void {
    this.settle();
    const streams = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, streams.add(stream));
  }

  leave(topic: string, stream: StreamOutlet): void {
    this.settle();
    const streams = this.#topics.get(topic);
    streams?.delete(stream);
    if (streams?.size === 0) this.#topics.delete(topic);
  }

  /** Writes the published messages, because something else must follow them. */
  settle(): void {
    const published = this.#published;
    if (published === null) return;
    this.#published = null;
    const events = encodedEvents(published.texts);
    for (const stream of this.#topics.get(published.topic) ?? []) stream.take(events);
  }

  #publish(topic: string, text: string): void {
    if (this.#published?.topic !== topic) this.settle();
    this.#published ??= { topic, texts: [] };
    this.#published.texts.push(text);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#soon(() => this.#flush());
  }

  /** A stream was written to: it is flushed in the next turn. */
  add(stream: StreamOutlet): void {
    this.#written.push(stream);
    this.#schedule();
  }

  /** The messages as events of the stream. */
  encoded(texts: readonly string[]): Uint8Array {
    if (this.#last === null || !isSame(this.#last.texts, texts)) {
      this.#last = { texts, bytes: encodedEvents(texts) };
    }
    return this.#last.bytes;
  }

  #flush(): void {
    this.#isScheduled = false;
    this.settle();
    const written = this.#written;
    this.#written = [];
    for (const stream of written) stream.flush();
    this.#last = null;
  }
}

function encodedEvents(texts: readonly string[]): Uint8Array {
  return encoder.encode(texts.map((text) => `data: ${text}\n\n`).join(""));
}

/** Messages to many streams are the same strings, so that this rarely compares characters. */
function isSame(first: readonly string[], second: readonly string[]): boolean {
  return first.length === second.length && first.every((text, index) => text === second[index]);
}

const HIGH_WATER_MARK = 64 * 1024;
/**
 * The longest silence of a stream, in milliseconds: a client can't send a ping over it, so silence
 * is the only sign of a dead connection.
 */
const MAX_SILENCE_MS = 10_000;

/** What is known of a stream when it is opened. */
export interface StreamStart {
  readonly identity: Identity;
  readonly address: string;
  readonly cursor: Cursor | null;
}

/** The settings of a stream, and what it tells its opener. */
export interface StreamOptions {
  readonly queues: SendQueues;
  readonly pingMs: number;
  readonly onEnd: () => void;
  readonly platform: Platform;
  readonly turns: StreamTurns;
  /** The version of the protocol; default 1. */
  readonly version?: 1 | 2;
  /** Called before the stream joins the feed; it may be sent something first. */
  readonly onOpen?: (subscriber: Subscriber) => void;
}

/** Responds with an event stream that carries the same messages as a socket. */
export function openEventStream(
  start: StreamStart,
  hub: ConnectionHub,
  options: StreamOptions,
): Response {
  let outlet: StreamOutlet | undefined;
  let subscriber: Subscriber | undefined;
  const silenceMs = Math.min(options.pingMs, MAX_SILENCE_MS);
  const { platform, turns } = options;
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
        outlet = new StreamOutlet(controller, turns);
        const { queues, version } = options;
        const { identity, address } = start;
        subscriber = new Subscriber(identity, outlet, queues, platform, version, address);
        outlet.comment("connected");
        // The client abandons a stream that is silent for longer.
        outlet.comment(`keepalive every ${silenceMs / 1000} s`);
        keepalive = platform.every(silenceMs, () => {
          if (subscriber?.isOpen === true) outlet?.comment("keepalive");
          else end();
        });
        options.onOpen?.(subscriber);
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
