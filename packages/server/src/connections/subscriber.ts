import { CloseCode, type ErrorCode, type Resync } from "@pylonsync/protocol";
import type { TopicPublisher } from "./topic-publisher.ts";
import type { Caller, Identity } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";

/** The transport under a subscriber. */
export interface Outlet {
  readonly transport: "websocket" | "sse" | "poll";
  /** Sends one message. @returns bytes that wait in memory because the reader is slow */
  write(text: string): number;
  /** Answers when nothing waits any more, or the connection is gone. */
  drained(): Promise<void>;
  /** Says goodbye, after what waits has been sent. */
  close(code: CloseCode, reason: string): void;
  /** Drops the connection and what waits. */
  terminate(): void;
  /** How it is reached together with others; null where each is written to by itself. */
  readonly topics: OutletTopics | null;
}

/** The topics of an outlet's runtime, by which one text reaches many of its kind. */
export interface OutletTopics {
  readonly publisher: TopicPublisher;
  enter(topic: string): void;
  leave(topic: string): void;
  /** Bytes that wait in memory because the reader is slow. */
  backlog(): number;
}

/** What brings connections up to date and keeps them so. */
export interface ConnectionHub {
  /** @param cursor where the client's replica is; null for a client that does not say */
  join(subscriber: Subscriber, cursor: Cursor | null): Promise<void>;
  /** The connection is gone, or is to be told nothing further. */
  leave(subscriber: Subscriber): void;
}

/** Why a message of a client was not taken. */
export interface MessageRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly field?: string;
}

/** Where a client's replica is. */
export interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}

/**
 * How long a reader that was cut off may take to read what was already on its way, in milliseconds.
 */
const LAST_CHANCE_MS = 10_000;

let connections = 0;

/** One live connection: a caller and the way to reach it. */
export class Subscriber {
  /** Its number on this server. */
  readonly id = (connections += 1);
  readonly identity: Identity;
  /** Of the protocol: 1 replicates all that it may read, 2 what it subscribes to. */
  readonly version: 1 | 2;
  readonly #outlet: Outlet;
  readonly #limit: number;
  readonly #after: Platform["after"];
  readonly #topics = new Set<string>();
  #open = true;
  #ending: "slow" | "resync" | null = null;

  /** @param limit most bytes that may wait for a slow reader */
  constructor(
    identity: Identity,
    outlet: Outlet,
    limit: number,
    { after }: Pick<Platform, "after">,
    version: 1 | 2 = 1,
  ) {
    this.#after = after;
    this.identity = identity;
    this.version = version;
    this.#outlet = outlet;
    this.#limit = limit;
  }

  get caller(): Caller {
    return this.identity.caller;
  }

  get transport(): Outlet["transport"] {
    return this.#outlet.transport;
  }

  /** Why the server ended the connection, where that is worth a count. Told once. */
  takeEnding(): "slow" | "resync" | null {
    const ending = this.#ending;
    this.#ending = null;
    return ending;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Sends a message, or cuts the reader off when too much waits for it: it reconnects and takes up
   * where it was.
   */
  send(text: string): void {
    if (!this.#open) return;
    if (this.#outlet.write(text) > this.#limit) this.#cutOff();
  }

  /** What reaches it together with others, by topics; null where nothing does. */
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

  /** Cuts the reader off when too much waits for it of what was published. */
  checkBacklog(): void {
    if (this.#open && (this.#outlet.topics?.backlog() ?? 0) > this.#limit) this.#cutOff();
  }

  /** For catching up: waits until the reader has taken what was sent. */
  drained(): Promise<void> {
    return this.#outlet.drained();
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
    if (!this.#open) return;
    this.#leaveTopics();
    this.#open = false;
    this.#outlet.close(code, reason);
  }

  /** The connection is gone. */
  closed(): void {
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
    const timer = this.#after(LAST_CHANCE_MS, () => this.#outlet.terminate()).unref();
    void this.#outlet.drained().then(() => {
      timer.cancel();
      this.#outlet.close(CloseCode.TRY_AGAIN_LATER, "resync: the client reads too slowly");
    });
  }
}
