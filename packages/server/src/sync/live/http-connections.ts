import { PylonError } from "@pylonsync/protocol";
import { PollOutlet } from "../../connections/poll.ts";
import { SocketRate } from "../../connections/socket-rate.ts";
import { openEventStream, StreamTurns } from "../../connections/sse.ts";
import type { SendQueues } from "../../connections/send-queues.ts";
import { Subscriber, type ConnectionHub } from "../../connections/subscriber.ts";
import type { SocketMessages } from "../../connections/websocket.ts";
import { isSameIdentity, type Identity } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";

/** Counts open connections by address. */
export interface ConnectionCount {
  /** @throws PylonError RATE_LIMITED */
  take(address: string): void;
  release(address: string): void;
}

/** The dependencies of connections without a socket. */
export interface HttpConnectionsOptions {
  readonly hub: ConnectionHub;
  readonly messages: SocketMessages;
  readonly count: ConnectionCount;
  readonly platform: Platform;
  readonly queues: SendQueues;
  readonly pingMs: number;
}

/** A connection of version 2 whose client has no socket. */
export interface HttpConnection {
  readonly id: string;
  readonly subscriber: Subscriber;
  readonly rate: SocketRate;
  /** Null for an event stream. */
  readonly polls: PollOutlet | null;
}

/**
 * Connections of version 2 without a socket: the server's messages are sent in an event stream or
 * in the responses to polls, and the client's messages arrive in requests. They use the same
 * subscribers as sockets.
 */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions;
  readonly #turns: StreamTurns;
  readonly #byId = new Map<string, HttpConnection>();

  constructor(options: HttpConnectionsOptions) {
    this.#options = options;
    this.#turns = new StreamTurns(options.platform);
  }

  /**
   * Returns a response with an event stream.
   *
   * @throws PylonError RATE_LIMITED
   */
  openStream(identity: Identity, address: string, first: readonly object[]): Response {
    const { hub, count, platform, queues, pingMs } = this.#options;
    count.take(address);
    const id = platform.uuid();
    return openEventStream({ identity, address, cursor: null }, hub, {
      queues,
      pingMs,
      platform,
      turns: this.#turns,
      version: 2,
      onOpen: (subscriber) => {
        const rate = new SocketRate(platform.monotonic);
        const connection = { id, subscriber, rate, polls: null };
        this.#byId.set(id, connection);
        subscriber.send(JSON.stringify({ type: "connection", id }));
        // It joins in this turn of the event loop, and receives hello before the responses to its
        // requests.
        platform.soon(() => this.#take(connection, first));
      },
      onEnd: () => {
        this.#byId.delete(id);
        count.release(address);
      },
    });
  }

  /** @throws PylonError RATE_LIMITED */
  async openPolls(
    identity: Identity,
    address: string,
    first: readonly object[],
  ): Promise<HttpConnection> {
    const { hub, count, platform, queues } = this.#options;
    count.take(address);
    const id = platform.uuid();
    const polls = new PollOutlet(platform, () => {
      this.#byId.delete(id);
      count.release(address);
      hub.leave(subscriber);
    });
    const subscriber = new Subscriber(identity, polls, queues, platform, 2, address);
    const rate = new SocketRate(platform.monotonic);
    const connection = { id, subscriber, rate, polls };
    this.#byId.set(id, connection);
    await hub.join(subscriber, null);
    this.#take(connection, first);
    return connection;
  }

  /** @throws PylonError NOT_FOUND */
  find(id: string, identity: Identity): HttpConnection {
    const connection = this.#byId.get(id);
    if (
      connection?.subscriber.isOpen === true &&
      isSameIdentity(connection.subscriber.identity, identity)
    )
      return connection;
    throw new PylonError(
      "NOT_FOUND",
      "This live connection has ended, or belongs to another server.",
      {
        hint: "Open a new connection with POST /api/live.",
      },
    );
  }

  /**
   * Handles messages of the client, with the same limits as for a socket.
   *
   * @throws PylonError RATE_LIMITED
   */
  say(connection: HttpConnection, messages: readonly object[]): void {
    if (this.#take(connection, messages)) return;
    throw new PylonError("RATE_LIMITED", "The client sends too many messages.", {
      hint: "Open a new connection after a second.",
      extra: { retry_after_secs: 1 },
    });
  }

  /** @returns false, after closing the connection, if a limit is exceeded */
  #take({ subscriber, rate }: HttpConnection, messages: readonly object[]): boolean {
    for (const message of messages) {
      if (!subscriber.isOpen) return true;
      const text = JSON.stringify(message);
      if (!rate.take(text.length)) {
        this.#options.hub.leave(subscriber);
        return false;
      }
      this.#options.messages.receive(subscriber, text);
    }
    return true;
  }
}
