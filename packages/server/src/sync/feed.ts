import { CloseCode, type Hello } from "@pylonsync/protocol";
import { isFalse, TRUE } from "@pylonsync/query";
import type { Caller, Identity, SessionStatus } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { DataModel } from "../data/model.ts";
import { runIn } from "../observe/operation.ts";
import { userShare } from "../request/reading.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { CommitBatch } from "./commit-batch.ts";
import { Delivery } from "./delivery.ts";
import type { LiveFunctionCalls } from "./live-functions/calls.ts";
import { LiveQueries } from "./live/live-queries.ts";
import type { SocketPushes } from "./live/socket-pushes.ts";
import { ConnectionIndex } from "../connections/connection-index.ts";
import type { FeedLine } from "./feed-line.ts";
import { PendingChanges } from "./pending-changes.ts";
import { RecentChanges } from "./recent-changes.ts";
import { isSameEpoch, replicaEpoch } from "./replica-epoch.ts";
import { offlineEntities, replicaSchema } from "./replica-schema.ts";
import type {
  ConnectionHub,
  Cursor,
  MessageRefusal,
  Subscriber,
} from "../connections/subscriber.ts";
import { CatchUp } from "./catch-up.ts";
import { SubscriptionRegistry } from "./subscriptions/registry.ts";
import type { Subscription } from "./subscriptions/subscription.ts";
import { Visibility } from "./visibility.ts";

/**
 * The age of the changes that a client without a cursor receives again, in milliseconds: they may
 * have been made between its pull and the opening of its socket.
 */
const OVERLAP_MS = 5_000;
const OVERLAP_CHANGES = 1_000;
const PAGE = 500;
/**
 * A delivery that takes no longer than this, in milliseconds, does not noticeably delay the
 * responses to the writers, so that it need not wait for them.
 */
const QUICK_MS = 1;

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

interface CatchUpStep {
  readonly isContinuing: boolean;
  /**
   * Whether the subscriber received rows in a newer state than the position of this feed: until the
   * feed reaches the position of the store, the versions of rows in the log may be older.
   */
  readonly isAhead: boolean;
  /** The maximum number of changes to send. */
  readonly limit: number;
}

/**
 * Sends committed changes to the subscribers that may read them, in commit order, with each message
 * encoded once.
 *
 * All steps run one after another in a queue (`#line`), so a subscriber joins exactly between two
 * changes and misses none.
 */
export class Feed implements ConnectionHub {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #soon: Platform["soon"];
  readonly #monotonic: Platform["monotonic"];
  /** The subscribers, each with its subscriptions to complete entities (version 1). */
  readonly #subscribers = new Map<Subscriber, readonly Subscription[]>();
  readonly #registry: SubscriptionRegistry;
  readonly #delivery: Delivery;
  readonly #batch = new CommitBatch();
  readonly #live: LiveQueries;
  /** The same connections, by user and by tenant. */
  readonly connections = new ConnectionIndex();
  readonly #pending = new PendingChanges();
  readonly #recent = new RecentChanges(OVERLAP_CHANGES);
  readonly #observer: FeedObserver;
  #model: DataModel;
  #visibility: Visibility;
  #line: Promise<void> = Promise.resolve();
  #isScheduled = false;
  /** The duration of the last delivery, in milliseconds. */
  #tookMs = 0;
  #isClosing = false;
  readonly #sessionStatus: StatusOf;
  readonly #readTimeoutMs: number;
  #position = 0;
  /** The number of the last change that was sent. */
  #sent = 0;
  #epoch = "";
  #unfollow: () => void = () => undefined;
  #delivered = 0;
  #endings = { slow: 0, resync: 0 };

  /**
   * @param readTimeoutMs the time limit for one read of a subscriber that catches up, in
   *   milliseconds
   */
  constructor(
    store: Store,
    model: DataModel,
    { now, soon, monotonic }: Pick<Platform, "now" | "soon" | "monotonic">,
    sessionStatus: StatusOf,
    readTimeoutMs: number,
    observer: FeedObserver,
  ) {
    this.#store = store;
    this.#readTimeoutMs = readTimeoutMs;
    this.#sessionStatus = sessionStatus;
    this.#model = model;
    this.#now = now;
    this.#soon = soon;
    this.#monotonic = monotonic;
    this.#observer = observer;
    this.#visibility = new Visibility(store, model, now);
    this.#registry = new SubscriptionRegistry(model);
    this.#delivery = new Delivery(this.#registry, model, {
      reader: store,
      settle: () => store.settle(),
      later: () => this.#pending.all(),
      now,
    });
    this.#live = new LiveQueries({
      store,
      registry: this.#registry,
      delivery: this.#delivery,
      line: this.#lineForSteps(),
      model: () => this.#model,
      now,
      readTimeoutMs,
      onError: (error) => observer.failed(error),
    });
  }

  #lineForSteps(): FeedLine {
    const position = (): number => this.#sent;
    const epoch = (): string => this.#epoch;
    return {
      get position() {
        return position();
      },
      get epoch() {
        return epoch();
      },
      settle: () => this.#settle(),
      enqueue: (step) => this.#enqueue(step),
      deliver: async () => {
        await this.#store.settle();
        await this.#deliverPending();
      },
      later: () => this.#pending.all(),
      changes: async (after, end) => {
        const records = await this.#changesUpTo(end, after);
        return after < end && records[0]?.seq !== after + 1 ? null : records;
      },
      mayStay: (subscriber) => this.#mayStay(subscriber),
    };
  }

  async start(): Promise<void> {
    // The log is followed before its position is read, so that no change in between is missed.
    this.#unfollow = this.#store.follow((changes) => {
      this.#pending.push(changes);
      this.#schedule();
    });
    const { head, epoch } = await this.#store.bounds();
    for (const { seq, at } of await this.#changesUpTo(head, Math.max(0, head - OVERLAP_CHANGES)))
      this.#recent.add(seq, at);
    this.#position = Math.max(this.#position, head);
    this.#sent = this.#position;
    this.#epoch = epoch;
  }

  /**
   * Delivers in this turn of the event loop, once the followers have all transactions of the
   * commit. If that takes long, the writers that wait for the commit are answered first.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const deliver = (): void => void this.#enqueue(() => this.#deliverPending());
    runIn(undefined, this.#tookMs <= QUICK_MS ? deliver : () => this.#soon(deliver));
  }

  stop(): void {
    this.#unfollow();
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
      position: this.#position,
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
    const { oldest } = this.#pending;
    return oldest === undefined ? 0 : this.#now() - oldest.at;
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
    this.#visibility = new Visibility(this.#store, model, this.#now);
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
    // Everything that the client has read, here or from another replica, was committed before this.
    // If the feed were behind that position, rows of the client would go back in time.
    await this.#settle();
    const isContinuing = cursor !== null;
    if (isContinuing && !(await this.#canContinue(cursor, subscriber.caller))) {
      subscriber.resync("the replica is too old to continue");
      return;
    }
    let reached = cursor?.seq ?? this.#overlapStart();
    let isAhead = false;
    while (subscriber.isOpen && reached < this.#position) {
      const page = await this.#catchUp(subscriber, reached, {
        isContinuing,
        isAhead,
        limit: PAGE,
      });
      reached = page.seq;
      isAhead ||= !page.isWhole;
      await subscriber.drained();
    }
    await this.#enqueue(async () => {
      if (isAhead) {
        await this.#store.settle();
        await this.#deliverPending();
      }
      if (subscriber.isOpen && reached < this.#position)
        await this.#catchUp(subscriber, reached, {
          isContinuing,
          isAhead: false,
          limit: Infinity,
        });
      if (isContinuing && (await this.#permissionsChangedAfter(subscriber)))
        subscriber.resync("the caller's permissions changed");
      if (this.#isClosing) sendElsewhere(subscriber);
      if (!subscriber.isOpen) return;
      if (isContinuing)
        subscriber.send(
          JSON.stringify({
            type: "hello",
            seq: this.#position,
            epoch: replicaEpoch(this.#epoch, this.#model, subscriber.caller, this.#now()),
          } satisfies Hello),
        );
      this.#subscribers.set(subscriber, this.#replicate(subscriber));
      this.connections.add(subscriber);
    });
    // Changes of its session are reported to it only from here on, and may have occurred while it
    // caught up.
    if (!(await this.#mayStay(subscriber))) this.leave(subscriber);
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
      seq: this.#sent,
      epoch: this.#epoch,
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

  /** Resolves when all changes committed before the call have been delivered. */
  async #settle(): Promise<void> {
    await this.#store.settle();
    await this.#enqueue(() => this.#deliverPending());
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
   * Whether changes to the caller's permissions are still to be delivered: the catch-up has already
   * used the current permissions.
   */
  async #permissionsChangedAfter({ caller }: Subscriber): Promise<boolean> {
    if (!this.#visibility.looksAtRights) return false;
    await this.#store.settle();
    return this.#pending
      .all()
      .some(
        (change) =>
          change.seq > this.#position && this.#visibility.affectsPermissions(change, caller),
      );
  }

  async #canContinue(cursor: Cursor, caller: Caller): Promise<boolean> {
    const { head, floor, epoch } = await this.#store.bounds();
    return (
      isSameEpoch(cursor.epoch, epoch, this.#model, caller, this.#now()) &&
      cursor.seq >= floor &&
      cursor.seq <= head
    );
  }

  /**
   * Sends the subscriber one page of the changes that it missed, up to the current position of the
   * feed.
   *
   * @param isContinuing whether the position of the subscriber's replica is known; otherwise the
   *   most recent changes are sent again
   * @param limit the maximum number of changes
   * @returns the position up to which the subscriber is up to date, and whether that was the
   *   position of the feed: only then no row is ahead of the feed
   */
  async #catchUp(
    subscriber: Subscriber,
    after: number,
    { isContinuing, isAhead, limit }: CatchUpStep,
  ): Promise<{ readonly seq: number; readonly isWhole: boolean }> {
    const end = this.#position;
    const records =
      limit === Infinity
        ? await this.#changesUpTo(end, after)
        : (await this.#store.changes(after, Math.min(limit, end - after))).filter(
            ({ seq }) => seq <= end,
          );
    const last = records.at(-1);
    if (isContinuing && records[0]?.seq !== after + 1) {
      subscriber.resync("the replica is too old to continue");
      return { seq: end, isWhole: true };
    }
    const { caller } = subscriber;
    if (
      isContinuing &&
      records.some((record) => this.#visibility.affectsPermissions(record, caller))
    ) {
      subscriber.resync("the caller's permissions changed");
      return { seq: end, isWhole: true };
    }
    const isWhole = last === undefined || (last.seq === end && !isAhead);
    const events = await this.#catchUpFor(subscriber).events(records, caller, isWhole);
    // Checked after the rows were read, because they may have been written after the end of the
    // session.
    if (await this.#mayStay(subscriber))
      for (const event of events) subscriber.send(JSON.stringify(event));
    return { seq: last?.seq ?? end, isWhole };
  }

  /**
   * Reads all changes after `after` up to `end`. The store may return fewer per page if they are
   * large.
   */
  async #changesUpTo(end: number, after: number): Promise<ChangeRecord[]> {
    const records: ChangeRecord[] = [];
    for (let last = after; last < end;) {
      const page = await this.#store.changes(last, end - last);
      if (page.length === 0) break;
      records.push(...page.filter(({ seq }) => seq <= end));
      last = page.at(-1)?.seq ?? end;
    }
    return records;
  }

  #overlapStart(): number {
    const first = this.#recent.firstSince(this.#now() - OVERLAP_MS);
    return first === undefined ? this.#position : first - 1;
  }

  /**
   * The cost of a catch-up depends on the subscriber, so it reads within the subscriber's share.
   */
  #catchUpFor({ id, caller }: Subscriber): CatchUp {
    const reader = this.#store.limitedReader({
      caller: userShare(caller) ?? `connection ${id}`,
      timeoutMs: this.#readTimeoutMs,
    });
    return new CatchUp(reader, this.#model, new Visibility(reader, this.#model, this.#now));
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    const done = this.#line.then(step);
    this.#line = done.catch(() => undefined);
    return done;
  }

  async #deliverPending(): Promise<void> {
    this.#isScheduled = false;
    const { size } = this.#pending;
    if (size === 0) return;
    if (this.#subscribers.size === 0) return this.#deliverTransactions(size);
    const started = this.#monotonic();
    await this.#observer.traced(size, this.#subscribers.size, () =>
      this.#deliverTransactions(size),
    );
    this.#tookMs = this.#monotonic() - started;
  }

  /** @param count the number of changes, the last of which ends a transaction */
  async #deliverTransactions(count: number): Promise<void> {
    for (let taken = 0; taken < count;) {
      const size = this.#pending.nextTransaction();
      if (size === 0) break;
      taken += size;
      await this.#deliverTransaction(size);
    }
    this.#live.runFunctions();
  }

  async #deliverTransaction(size: number): Promise<void> {
    const times: number[] = [];
    for (let index = 0; index < size; index += 1) {
      const record = this.#pending.take();
      if (record === undefined || record.seq <= this.#position) continue;
      if (this.#subscribers.size === 0) this.#delivery.skip();
      else if (await this.#orDisconnectAll(() => this.#deliver(record))) times.push(record.at);
      this.#position = record.seq;
      this.#recent.add(record.seq, record.at);
    }
    if (times.length > 0) await this.#sendBatch();
    this.#sent = this.#position;
    for (const at of times) this.#observer.delivered(this.#now() - at);
  }

  async #sendBatch(): Promise<void> {
    await this.#orDisconnectAll(async () => {
      await this.#live.refill(this.#batch);
      this.#delivered += this.#batch.send(this.#position);
    });
  }

  /**
   * Runs a step of the delivery. If it fails, all connections are closed, so that none misses a
   * change.
   *
   * @returns whether the step succeeded
   */
  async #orDisconnectAll(step: () => Promise<void>): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      this.#observer.failed(error);
      this.#disconnectAll();
      return false;
    }
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

  async #deliver(record: ChangeRecord): Promise<void> {
    this.#live.onChange(record);
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
