import { CloseCode, PylonError } from "@pylonsync/protocol";
import type { Identity } from "../identity/identity.ts";
import { SocketRate } from "./socket-rate.ts";
import type { Platform } from "../platform.ts";
import type { SendQueues } from "./send-queues.ts";
import type { TopicPublisher } from "./topic-publisher.ts";
import {
  Subscriber,
  type ConnectionHub,
  type Cursor,
  type Outlet,
  type OutletTopics,
} from "./subscriber.ts";

/** The members of a server's WebSocket that are needed here. */
export interface ServerSocket {
  sendText(text: string): number;
  /** Writes what is sent meanwhile together. */
  cork(send: () => void): unknown;
  sendBinary(bytes: Uint8Array): number;
  getBufferedAmount(): number;
  close(code?: number, reason?: string): void;
  terminate(): void;
  subscribe(topic: string): unknown;
  unsubscribe(topic: string): unknown;
}

const NO_TOKEN = "bearer token required";

/** Handles the messages of clients. */
export interface SocketMessages {
  receive(subscriber: Subscriber, text: string): void;
}

/** The properties of a socket when it is opened. */
export interface SocketStart {
  /** Null if the token was rejected. */
  readonly identity: Identity | null;
  /** Whether an anonymous caller is rejected as well. */
  readonly needsToken?: boolean;
  readonly cursor: Cursor | null;
  readonly version: 1 | 2;
}

/** A WebSocket as an Outlet. */
class SocketOutlet implements Outlet {
  readonly transport = "websocket";
  readonly topics: OutletTopics;
  readonly #socket: ServerSocket;
  #waiting: (() => void)[] = [];
  #isClosed = false;

  constructor(socket: ServerSocket, publisher: TopicPublisher) {
    this.#socket = socket;
    this.topics = {
      publisher,
      enter: (topic) => void socket.subscribe(topic),
      leave: (topic) => void socket.unsubscribe(topic),
    };
  }

  write(text: string): number {
    return this.#waitingAfter(this.#socket.sendText(text));
  }

  writeTogether(texts: readonly string[]): number {
    const [first = ""] = texts;
    if (texts.length === 1) return this.write(first);
    let isDropped = false;
    this.#socket.cork(() => {
      for (const text of texts) isDropped ||= this.#socket.sendText(text) === 0;
    });
    // What the last write could not send is known only now.
    return isDropped ? Infinity : this.#socket.getBufferedAmount();
  }

  writeBytes(bytes: Uint8Array): number {
    return this.#waitingAfter(this.#socket.sendBinary(bytes));
  }

  #waitingAfter(status: number): number {
    // -1: queued in memory; 0: dropped, because more was queued than the listener allows.
    return status > 0 ? 0 : status === 0 ? Infinity : this.#socket.getBufferedAmount();
  }

  queued(): number {
    return this.#isClosed ? 0 : this.#socket.getBufferedAmount();
  }

  drained(): Promise<void> {
    if (this.queued() === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(code: CloseCode, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** The socket has sent everything, or was closed. */
  release(isClosed: boolean): void {
    this.#isClosed ||= isClosed;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function isAnonymous({ caller }: Identity): boolean {
  return caller.userId === null && !caller.isAdmin;
}

/** One client's socket, from open to close. */
export class SyncSocket {
  readonly #start: SocketStart;
  readonly #publisher: TopicPublisher;
  #outlet: SocketOutlet | undefined;
  #subscriber: Subscriber | undefined;
  readonly #platform: Platform;
  readonly #rate: SocketRate;
  #isFlooding = false;

  /** The client's address, for the limit of open connections. */
  readonly address: string;

  /** @param publisher reaches the sockets of the same listener */
  constructor(start: SocketStart, address: string, publisher: TopicPublisher, platform: Platform) {
    this.#start = start;
    this.#platform = platform;
    this.#rate = new SocketRate(platform.monotonic);
    this.address = address;
    this.#publisher = publisher;
  }

  /**
   * Joins the hub. A socket with an invalid token receives an error and is closed, because a
   * browser can't read the response to a rejected handshake.
   */
  async opened(socket: ServerSocket, hub: ConnectionHub, queues: SendQueues): Promise<void> {
    const { identity, cursor, version, needsToken = false } = this.#start;
    if (identity === null || (needsToken && isAnonymous(identity))) {
      const why = identity === null ? "the token is unknown, expired or revoked" : NO_TOKEN;
      socket.close(CloseCode.UNAUTHORIZED, `unauthorized: ${why}`);
      return;
    }
    this.#outlet = new SocketOutlet(socket, this.#publisher);
    this.#subscriber = new Subscriber(
      identity,
      this.#outlet,
      queues,
      this.#platform,
      version,
      this.address,
    );
    await hub.join(this.#subscriber, cursor);
  }

  /**
   * Most writes go over HTTP, so clients send few messages here. An invalid message is ignored, as
   * by the public system.
   */
  received(socket: ServerSocket, message: string | Uint8Array, messages: SocketMessages): void {
    if (!this.counted(socket, message.length)) return;
    if (typeof message !== "string") {
      // A binary frame is invalid; a client of version 2 receives an error.
      if (this.#subscriber?.version === 2) messages.receive(this.#subscriber, "");
    } else if (message === PING && this.#start.version === 1) socket.sendText(PONG);
    else if (this.#subscriber !== undefined) messages.receive(this.#subscriber, message);
  }

  /**
   * Counts a frame, whatever its content. A socket that exceeds the limit is closed with a code,
   * and dropped shortly afterwards; further frames are not read.
   *
   * @returns whether the frame must be handled
   */
  counted(socket: ServerSocket, bytes: number): boolean {
    if (this.#isFlooding) return false;
    if (this.#rate.take(bytes)) return true;
    this.#isFlooding = true;
    if (this.#subscriber === undefined) socket.close(CloseCode.UNAUTHORIZED, FLOOD);
    else this.#subscriber.close(CloseCode.UNAUTHORIZED, FLOOD);
    // It may continue to send without reading the close frame.
    this.#platform.after(LAST_CHANCE_MS, () => socket.terminate()).unref();
    return false;
  }

  drained(): void {
    this.#outlet?.release(false);
  }

  closed(hub: ConnectionHub): void {
    this.#outlet?.release(true);
    if (this.#subscriber !== undefined) hub.leave(this.#subscriber);
  }
}

/** The time for a socket that exceeds the limit to read its close code, in milliseconds. */
const LAST_CHANCE_MS = 500;
const FLOOD = "too many messages";
const PING = '{"type":"ping"}';
const PONG = '{"type":"pong"}';

/**
 * The cursor in a socket's or stream's address: `?since=41&epoch=...`.
 *
 * @returns null if the client does not send its position
 * @throws PylonError INVALID_QUERY
 */
export function cursorOf(params: URLSearchParams): Cursor | null {
  const since = params.get("since");
  if (since === null) return null;
  if (!/^\d{1,16}$/.test(since)) {
    throw new PylonError("INVALID_QUERY", '"since" must be the cursor of the last pull.', {
      field: "since",
    });
  }
  return { seq: Number(since), epoch: params.get("epoch") };
}
