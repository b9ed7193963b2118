import { CloseCode, type Hello } from "@pylonsync/protocol";
import { isFalse, TRUE } from "@pylonsync/query";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { DataModel } from "../data/model.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { CommitBatch } from "./commit-batch.ts";
import { Delivery } from "./delivery.ts";
import { DeliveryQueue, type DeliverySteps } from "./delivery-queue.ts";
import type { LiveFunctionCalls } from "./live-functions/calls.ts";
import { LiveQueries } from "./live/live-queries.ts";
import type { SocketPushes } from "./live/socket-pushes.ts";
import { Outbox } from "../connections/outbox.ts";
import { ConnectionIndex } from "../connections/connection-index.ts";
import { replicaEpoch } from "./replica-epoch.ts";
import { FairTurns } from "../util/fair-turns.ts";
import { JOIN_TURNS, ReplicaJoin, type ReplicaJoinOptions } from "./replica-join.ts";
import { offlineEntities, replicaSchema } from "./replica-schema.ts";
import type {
  ConnectionHub,
  Cursor,
  MessageRefusal,
  Subscriber,
} from "../connections/subscriber.ts";
import { SubscriptionRegistry } from "./subscriptions/registry.ts";
import type { Subscription } from "./subscriptions/subscription.ts";

/** Returns the current status of the session of an identity. */
type StatusOf = (identity: Identity) => Promise<SessionStatus>;

/** Observes the feed, for logs, metrics and traces. */
export interface FeedObserver {
  failed(error: unknown): void;
  /**
   * A change was sent to all clients that may read it.
   *
   * @param lagMs milliseconds since it was written
   */
  delivered(lagMs: number): void;
  /** Runs a delivery. */
  traced(changes: number, connections: number, deliver: () => Promise<void>): Promise<void>;
}

/** What else follows the log for the open connections. */
export interface LogFollower {
  /** Called for each change of the log, also while no connection has joined yet. */
  onChange(record: ChangeRecord): void;
  /** The connection was closed, joined or not, or must not receive anything further. */
  leave(subscriber: Subscriber): void;
}

/**
 * Sends committed changes to the subscribers that may read them, in commit order, with each message
 * encoded once.
 *
 * Deliveries and joins are steps of one queue, so a subscriber joins exactly between two
 * transactions and misses none.
 */
export class Feed implements ConnectionHub {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #queue: DeliveryQueue;
  readonly #joinTurns = new FairTurns(JOIN_TURNS);
  /** The subscribers, each with its subscriptions to complete entities (version 1). */
  readonly #subscribers = new Map<Subscriber, readonly Subscription[]>();
  readonly #registry: SubscriptionRegistry;
  readonly #delivery: Delivery;
  readonly #batch = new CommitBatch();
  readonly #outbox = new Outbox();
  readonly #live: LiveQueries;
  /** The same connections, by user and by tenant. */
  readonly connections = new ConnectionIndex();
  readonly #observer: FeedObserver;
  /** The documents; null if the server has none. */
  #follower: LogFollower | null = null;
  #model: DataModel;
  #isClosing = false;
  readonly #sessionStatus: StatusOf;
  readonly #readTimeoutMs: number;
  #delivered = 0;
  #endings = { slow: 0, resync: 0 };

  /**
   * @param readTimeoutMs the time limit for one read of a subscriber that catches up, in
   *   milliseconds
   */
  constructor(
    store: Store,
    model: DataModel,
    platform: Pick<Platform, "now" | "soon" | "monotonic" | "after">,
    sessionStatus: StatusOf,
    readTimeoutMs: number,
    observer: FeedObserver,
  ) {
    this.#store = store;
    this.#readTimeoutMs = readTimeoutMs;
    this.#sessionStatus = sessionStatus;
    this.#model = model;
    this.#now = platform.now;
    this.#observer = observer;
    this.#registry = new SubscriptionRegistry(model);
    this.#queue = new DeliveryQueue(store, platform, this.#deliverySteps());
    this.#delivery = new Delivery(this.#registry, model, {
      reader: store,
      settle: () => store.settle(),
      later: () => this.#queue.later(),
      now: this.#now,
      monotonic: platform.monotonic,
      pause: () => new Promise((resolve) => platform.soon(resolve)),
    });
    this.#live = new LiveQueries({
      store,
      registry: this.#registry,
      delivery: this.#delivery,
      queue: this.#queue,
      mayStay: (subscriber) => this.#mayStay(subscriber),
      model: () => this.#model,
      now: this.#now,
      after: platform.after,
      readTimeoutMs,
      onError: (error) => observer.failed(error),
    });
  }

  #deliverySteps(): DeliverySteps {
    return {
      connections: () => this.#subscribers.size,
      compute: (record) => this.#compute(record),
      skip: (record) => {
        this.#delivery.skip();
        this.#follower?.onChange(record);
      },
      send: async (position) => {
        if (this.#batch.needsReads) await this.#live.refill(this.#batch);
        const { sent, tooLarge } = this.#batch.send(position, this.#outbox);
        this.#delivered += sent;
        for (const subscription of tooLarge) this.#live.reload(subscription);
      },
      finished: () => {
        this.#outbox.flush();
        this.#live.runFunctions();
      },
      delivered: (at) => this.#observer.delivered(this.#now() - at),
      failed: (error) => {
        this.#observer.failed(error);
        this.#disconnectAll();
      },
      traced: (changes, connections, deliver) =>
        this.#observer.traced(changes, connections, deliver),
    };
  }

  async start(): Promise<void> {
    await this.#queue.start();
  }

  stop(): void {
    this.#queue.stop();
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** The counters since the start, and the position in the log. */
  stats(): {
    readonly position: number;
    readonly delivered: number;
    readonly slowClients: number;
    readonly resyncs: number;
  } {
    return {
      position: this.#queue.computed,
      delivered: this.#delivered,
      slowClients: this.#endings.slow,
      resyncs: this.#endings.resync,
    };
  }

  /** Open connections by transport. */
  byTransport(): Record<Subscriber["transport"], number> {
    const counts = { websocket: 0, sse: 0, poll: 0 };
    for (const { transport } of this.#subscribers.keys()) counts[transport] += 1;
    return counts;
  }

  /** The age of the oldest undelivered change, in milliseconds. */
  get waitingMs(): number {
    return this.#queue.waitingMs;
  }

  get subscribers(): Iterable<Subscriber> {
    return this.#subscribers.keys();
  }

  /**
   * Sets the app's model after a reload.
   *
   * @param isSameData whether entities and policies are unchanged; otherwise all clients load a new
   *   snapshot, because their replicas may contain wrong rows
   */
  setModel(model: DataModel, isSameData: boolean): void {
    this.#model = model;
    this.#delivery.setModel(model);
    if (isSameData) {
      this.#registry.setModel(model);
      this.#live.rerunFunctions();
      return;
    }
    for (const subscriber of [...this.#subscribers.keys()]) {
      subscriber.resync("the app's schema or policies changed");
      this.leave(subscriber);
    }
    this.#registry.reset(model);
  }

  /** Allows clients to subscribe to functions from now on. */
  serveFunctions(
    calls: LiveFunctionCalls,
    platform: Pick<Platform, "monotonic" | "after" | "uuid">,
  ): void {
    this.#live.serveFunctions(calls, platform);
  }

  /** Passes the changes on, too. */
  followWith(follower: LogFollower): void {
    this.#follower = follower;
  }

  /** Allows clients to push over their sockets. */
  servePushes(pushes: SocketPushes): void {
    this.#live.servePushes(pushes);
  }

  /** Reruns the live functions that have read data outside of the log that has changed. */
  invalidate(entity: string, id: string): void {
    this.#live.invalidate(entity, id);
  }

  /**
   * Called when the server stops: clients, including those that are joining, reconnect to another
   * replica.
   */
  closeAll(): void {
    this.#isClosing = true;
    for (const subscriber of [...this.#subscribers.keys()]) {
      sendElsewhere(subscriber);
      this.leave(subscriber);
    }
  }

  /**
   * Adds a subscriber: sends the changes that it has missed, and from then on each change.
   *
   * @param cursor the position of its replica; null if the client does not send it
   */
  async join(subscriber: Subscriber, cursor: Cursor | null): Promise<void> {
    try {
      if (subscriber.version === 2) await this.#joinLive(subscriber);
      else await this.#join(subscriber, cursor);
    } catch (error) {
      this.#observer.failed(error);
      subscriber.close(CloseCode.TRY_AGAIN_LATER, "the server can't read its log at the moment");
    }
  }

  async #join(subscriber: Subscriber, cursor: Cursor | null): Promise<void> {
    await new ReplicaJoin(this.#joinOptions(), subscriber, cursor).run(() => {
      if (this.#isClosing) sendElsewhere(subscriber);
      if (!subscriber.isOpen) return;
      if (cursor !== null)
        subscriber.send(
          JSON.stringify({
            type: "hello",
            seq: this.#queue.computed,
            epoch: replicaEpoch(this.#queue.epoch, this.#model, subscriber.caller, this.#now()),
          } satisfies Hello),
        );
      this.#subscribers.set(subscriber, this.#replicate(subscriber));
      this.connections.add(subscriber);
    });
    // Changes of its session are reported to it only from here on, and may have occurred while it
    // caught up.
    if (!(await this.#mayStay(subscriber))) this.leave(subscriber);
  }

  #joinOptions(): ReplicaJoinOptions {
    return {
      store: this.#store,
      queue: this.#queue,
      turns: this.#joinTurns,
      model: () => this.#model,
      now: this.#now,
      readTimeoutMs: this.#readTimeoutMs,
      mayStay: (subscriber) => this.#mayStay(subscriber),
    };
  }

  /** Adds a connection of version 2, which starts without rows and subscribes to them. */
  async #joinLive(subscriber: Subscriber): Promise<void> {
    if (this.#isClosing) sendElsewhere(subscriber);
    if (!subscriber.isOpen) return;
    this.#subscribers.set(subscriber, []);
    this.connections.add(subscriber);
    this.#live.join(subscriber);
    const offline = offlineEntities(this.#model, subscriber.caller, this.#now());
    const hello: Hello = {
      type: "hello",
      seq: this.#queue.position,
      epoch: this.#queue.epoch,
      ...(offline.length === 0 ? {} : { offline }),
      ...(this.#live.takesPushes(subscriber) ? { push: true } : {}),
      schema: replicaSchema(this.#model, subscriber.caller, this.#now()),
    };
    subscriber.send(JSON.stringify(hello));
    if (!(await this.#mayStay(subscriber))) this.leave(subscriber);
  }

  /**
   * Handles a message of a client.
   *
   * @returns whether it was a message about subscriptions
   */
  receive(subscriber: Subscriber, text: string): boolean {
    return this.#live.receive(subscriber, text);
  }

  /**
   * Sends the reason for a rejected message, if the client's protocol version has error messages.
   */
  refuse(subscriber: Subscriber, refusal: MessageRefusal): void {
    this.#live.refuse(subscriber, refusal);
  }

  /**
   * Checks the session again, because changes of it are not reported during the catch-up.
   *
   * @returns false, after closing the connection, if the session has ended or changed
   */
  async #mayStay(subscriber: Subscriber): Promise<boolean> {
    const sessionStatus = subscriber.isOpen
      ? await this.#sessionStatus(subscriber.identity)
      : "valid";
    if (sessionStatus === "revoked")
      subscriber.close(CloseCode.SESSION_ENDED, "the session has ended");
    if (sessionStatus === "changed") subscriber.resync("the session has changed");
    return sessionStatus === "valid";
  }

  leave(subscriber: Subscriber): void {
    subscriber.closed();
    const ending = subscriber.takeEnding();
    if (ending !== null) this.#endings[ending] += 1;
    this.#follower?.leave(subscriber);
    const subscriptions = this.#subscribers.get(subscriber);
    if (subscriptions === undefined) return;
    this.#subscribers.delete(subscriber);
    this.connections.delete(subscriber);
    this.#live.leave(subscriber);
    for (const subscription of subscriptions) {
      subscription.replicas.delete(subscriber);
      this.#registry.release(subscription);
    }
  }

  /** Subscribes a connection of version 1 to all rows that it may read. */
  #replicate(subscriber: Subscriber): readonly Subscription[] {
    const subscriptions: Subscription[] = [];
    for (const { name } of this.#model.schema.entities) {
      const query = { entity: name, where: TRUE, order: [], limit: undefined };
      const subscription = this.#registry.acquire(query, subscriber.caller);
      if (isFalse(subscription.truth)) {
        this.#registry.release(subscription);
        continue;
      }
      subscription.replicas.add(subscriber);
      subscriptions.push(subscription);
    }
    return subscriptions;
  }

  /**
   * Closes all connections, because they may have missed a change. Clients reconnect with their
   * cursors, and catch up.
   */
  #disconnectAll(): void {
    this.#delivery.skip();
    for (const subscriber of [...this.#subscribers.keys()]) {
      subscriber.close(CloseCode.TRY_AGAIN_LATER, "the server could not read its database");
      this.leave(subscriber);
    }
  }

  async #compute(record: ChangeRecord): Promise<void> {
    this.#live.onChange(record);
    this.#follower?.onChange(record);
    const { effects, lost } = await this.#delivery.deliver(record);
    for (const effect of effects) this.#batch.add(effect);
    for (const subscription of lost) {
      this.#batch.drop(subscription);
      this.#live.reload(subscription);
      for (const subscriber of [...subscription.replicas]) {
        subscriber.resync("the caller's permissions changed");
        this.leave(subscriber);
      }
    }
  }
}

function sendElsewhere(subscriber: Subscriber): void {
  subscriber.close(CloseCode.GOING_AWAY, "the server is stopping");
}
