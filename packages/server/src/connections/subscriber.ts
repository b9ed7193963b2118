import { CloseCode, MAX_RESULT_BYTES, type ErrorCode, type Resync } from "@pylonsync/protocol";
import type { QueuedReader, SendQueues } from "./send-queues.ts";
import type { TopicPublisher } from "./topic-publisher.ts";
import type { Caller, Identity } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";

/** The transport under a subscriber. */
export interface Outlet {
  readonly transport: "websocket" | "sse" | "poll";
  /** Sends one message. @returns the bytes queued in memory because the reader is slow */
  write(text: string): number;
  /** Sends several messages with one write; absent if the transport does that with all messages. */
  writeTogether?(texts: readonly string[]): number;
  /** Sends a binary message, as `write` does; absent if the transport has none. */
  writeBytes?(bytes: Uint8Array): number;
  /** The bytes queued in memory because the reader is slow; 0 after the connection was closed. */
  queued(): number;
  /** Resolves when some of the queue was sent, or all of it, or the connection is closed. */
  drained(): Promise<void>;
  /** Closes the connection after the queued messages have been sent. */
  close(code: CloseCode, reason: string): void;
  /** Drops the connection and the queued messages. */
  terminate(): void;
  /** Publishes to it together with others; null if each connection is written to separately. */
  readonly topics: OutletTopics | null;
}

/** The topics of an outlet's runtime, which send one message to many outlets of its kind. */
export interface OutletTopics {
  readonly publisher: TopicPublisher;
  enter(topic: string): void;
  leave(topic: string): void;
}

/** Brings connections up to date, and keeps them so. */
export interface ConnectionHub {
  /** @param cursor the position of the client's replica; null if the client does not send it */
  join(subscriber: Subscriber, cursor: Cursor | null): Promise<void>;
  /** The connection is closed, or must not receive anything further. */
  leave(subscriber: Subscriber): void;
}

/** Why a message of a client was rejected. */
export interface MessageRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly field?: string;
}

/** The position of a client's replica. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}

/**
 * The time in which a disconnected reader may read what was already sent, in milliseconds.
 */
const LAST_CHANCE_MS = 10_000;

/** A queue of up to this size is not counted among those of its network, in bytes. */
const UNCOUNTED_BYTES = 16 * 1024;
/** The length of held messages from which one more write is not noticeable. */
const MAX_HELD_LENGTH = 16 * 1024;

let connections = 0;

/** One live connection: a caller, and the transport to it. */
export class Subscriber implements QueuedReader {
  /** Its number, unique on this server. */
  readonly id = (connections += 1);
  readonly identity: Identity;
  /** The protocol: 1 replicates all readable rows, 2 those of its subscriptions. */
  readonly version: 1 | 2;
  /** The client's address. */
  readonly address: string;
  readonly #outlet: Outlet;
  readonly #queues: SendQueues;
  readonly #after: Platform["after"];
  readonly #topics = new Set<string>();
  /** Messages that wait to be written together. */
  #held: string[] = [];
  #heldLength = 0;
  #open = true;
  #ending: "slow" | "resync" | null = null;
  /** How many bytes of those that it has not read do not count against the limit of the queue. */
  #exemptBytes = 0;
  #isWatched = false;

  /** @param queues counts the bytes that are queued for slow readers */
  constructor(
    identity: Identity,
    outlet: Outlet,
    queues: SendQueues,
    { after }: Pick<Platform, "after">,
    version: 1 | 2 = 1,
    address = "",
  ) {
    this.address = address;
    this.#after = after;
    this.identity = identity;
    this.version = version;
    this.#outlet = outlet;
    this.#queues = queues;
  }

  get caller(): Caller {
    return this.identity.caller;
  }

  get transport(): Outlet["transport"] {
    return this.#outlet.transport;
  }

  /** The reason why the server ended the connection, for metrics. Called once. */
  takeEnding(): "slow" | "resync" | null {
    const ending = this.#ending;
    this.#ending = null;
    return ending;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Sends a message, or disconnects the reader if its queue is too long: it reconnects and
   * continues from its cursor. A message that is larger than the limit of the queue, like a large
   * commit, is sent as if it had been requested.
   */
  send(text: string): void {
    this.releaseHeld();
    if (!this.#open) return;
    if (text.length > this.#queues.perReader) return this.sendRequested(text);
    this.#queue(this.#outlet.write(text));
  }

  /**
   * Holds a message until `releaseHeld`, or until anything else is sent: one write costs as much as
   * dozens of messages. Its publisher releases it at the latest at the end of the event loop turn.
   *
   * @returns the publisher that must be told to release it; null if the message was sent at once
   */
  hold(text: string): TopicPublisher | null {
    if (!this.#open) return null;
    const { topics } = this.#outlet;
    const canHold = this.#outlet.writeTogether !== undefined;
    if (topics === null || !canHold || text.length > this.#queues.perReader) {
      this.send(text);
      return null;
    }
    this.#held.push(text);
    this.#heldLength += text.length;
    if (this.#held.length === 1) topics.publisher.holds(this);
    if (this.#heldLength >= MAX_HELD_LENGTH) this.releaseHeld();
    return topics.publisher;
  }

  /** Sends the held messages. */
  releaseHeld(): void {
    if (this.#held.length === 0 || !this.#open) return;
    const texts = this.#held;
    this.#held = [];
    this.#heldLength = 0;
    this.#queue(this.#outlet.writeTogether?.(texts) ?? 0);
  }

  /**
   * Sends rows or a result that the reader has requested, which may be larger than the limit of the
   * queue: on a slow network, a reader that is disconnected for them would request them again, for
   * ever.
   */
  sendRequested(text: string): void {
    this.releaseHeld();
    if (!this.#open) return;
    const waiting = this.#outlet.write(text);
    if (waiting === 0) return;
    const bytes = Buffer.byteLength(text);
    const all = Math.min(this.#exemptBytes + bytes, MAX_RESULT_BYTES);
    this.#exemptBytes = Math.max(all, bytes, this.#exemptBytes);
    this.#queue(waiting);
  }

  /**
   * Sends a binary message, which does not count against the limit of the queue, because it may be
   * larger: the sender waits until the previous ones were read.
   */
  sendBytes(bytes: Uint8Array): void {
    this.releaseHeld();
    if (!this.#open || this.#outlet.writeBytes === undefined) return;
    const waiting = this.#outlet.writeBytes(bytes);
    if (waiting === 0) return;
    this.#exemptBytes += bytes.length;
    this.#queue(waiting);
  }

  /** The bytes queued for it. */
  queued(): number {
    return this.#outlet.queued();
  }

  /** Waits until requested rows may be read for it; null if they may be now. */
  room(): Promise<void> | null {
    return this.#queues.isFull(this.address) ? this.#queues.room(this.address) : null;
  }

  /** Disconnects the reader, without the messages that it has not read. */
  drop(): void {
    this.#leaveTopics();
    if (this.#open) this.#ending = "slow";
    this.#open = false;
    this.#outlet.terminate();
  }

  /** @param waiting the bytes that are queued now */
  #queue(waiting: number): void {
    if (waiting === 0) return;
    if (waiting > this.#queues.perReader + this.#exemptBytes) this.#cutOff();
    if (waiting <= UNCOUNTED_BYTES && this.#exemptBytes === 0 && !this.#isWatched) return;
    this.#queues.set(this, Number.isFinite(waiting) ? waiting : this.#outlet.queued());
    this.#watch();
  }

  /** Counts what is still queued when some of it was read. */
  #watch(): void {
    if (this.#isWatched) return;
    this.#isWatched = true;
    void this.#outlet.drained().then(() => {
      this.#isWatched = false;
      const waiting = this.#outlet.queued();
      this.#queues.set(this, waiting);
      if (waiting > 0) this.#watch();
      else this.#exemptBytes = 0;
    });
  }

  /** Publishes to it together with others, through topics; null if it has none. */
  get publisher(): TopicPublisher | null {
    return this.#outlet.topics?.publisher ?? null;
  }

  enterTopic(topic: string): void {
    const { topics } = this.#outlet;
    if (topics === null || !this.#open) return;
    if (this.#topics.size === 0) topics.publisher.watch(this);
    this.#topics.add(topic);
    topics.enter(topic);
  }

  leaveTopic(topic: string): void {
    const { topics } = this.#outlet;
    if (topics === null || !this.#topics.delete(topic)) return;
    topics.leave(topic);
    if (this.#topics.size === 0) topics.publisher.unwatch(this);
  }

  /** Disconnects the reader if too many published bytes are queued for it. */
  checkBacklog(): void {
    if (this.#open) this.#queue(this.#outlet.queued());
  }

  /** For catching up: waits until the reader has read what was sent. */
  async drained(): Promise<void> {
    this.releaseHeld();
    do await this.#outlet.drained();
    while (this.#outlet.queued() > 0);
  }

  /**
   * Tells the client that it must take a new snapshot, and ends the connection. In version 2 each
   * cursor says by itself whether it can be continued.
   */
  resync(reason: string): void {
    const message: Resync = { type: "resync", reason };
    if (this.version === 1) this.send(JSON.stringify(message));
    if (this.#open) this.#ending = "resync";
    this.close(CloseCode.TRY_AGAIN_LATER, `resync: ${reason}`);
  }

  close(code: CloseCode, reason: string): void {
    this.releaseHeld();
    if (!this.#open) return;
    this.#leaveTopics();
    this.#open = false;
    this.#outlet.close(code, reason);
    this.#terminateLater();
  }

  /** The connection was closed. */
  closed(): void {
    this.#held = [];
    this.#leaveTopics();
    this.#open = false;
  }

  #leaveTopics(): void {
    for (const topic of [...this.#topics]) this.leaveTopic(topic);
  }

  #cutOff(): void {
    this.#leaveTopics();
    this.#open = false;
    this.#ending = "slow";
    this.#terminateLater();
    void this.drained().then(() => {
      this.#outlet.close(CloseCode.TRY_AGAIN_LATER, "resync: the client reads too slowly");
    });
  }

  /** Ends the connection soon, although the reader has not read everything. */
  #terminateLater(): void {
    if (this.#outlet.queued() === 0) return;
    const timer = this.#after(LAST_CHANCE_MS, () => this.#outlet.terminate()).unref();
    void this.drained().then(() => timer.cancel());
  }
}
