import { CloseCode, type ChangeEvent, type Hello } from "@pylonsync/protocol";
import type { Caller, Identity, SessionStatus } from "../identity/identity.ts";
import { audienceKeyPaths, discriminators } from "../policy/audience.ts";
import type { DataModel } from "../data/model.ts";
import { runIn } from "../observe/operation.ts";
import { userShare } from "../request/reading.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { AudienceIndex, type Audience } from "./audience.ts";
import { ConnectionIndex } from "./connection-index.ts";
import { RecentChanges } from "./recent-changes.ts";
import { isSameEpoch, replicaEpoch } from "./replica-epoch.ts";
import type { Subscriber } from "./subscriber.ts";
import { CatchUp } from "./catch-up.ts";
import { RESYNC, Visibility } from "./visibility.ts";

/**
 * How far back a client is served again that does not say where it is, in milliseconds: between its
 * pull and its socket.
 */
const OVERLAP_MS = 5_000;
const OVERLAP_CHANGES = 1_000;
const PAGE = 500;

/** Where a client's replica is. */
interface Cursor {
  readonly seq: number;
  readonly epoch: string | null;
}

interface Route {
  readonly index: AudienceIndex;
  /** The field whose value names the only audience that can see the row, when there is one. */
  readonly field: string | undefined;
}

/** What became of an identity since it was asked for. */
type StatusOf = (identity: Identity) => Promise<SessionStatus>;

/** Told what the feed does, for logs, metrics and traces. */
export interface FeedObserver {
  failed(error: unknown): void;
  /**
   * A change was handed to everybody who may see it.
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
   * The subscriber was told of rows as the store had them, which may be ahead of this feed: until
   * the feed has caught up with that, the log's own versions of rows may be older.
   */
  readonly isAhead: boolean;
  /** Most changes to tell of. */
  readonly limit: number;
}

/**
 * Carries committed changes to the subscribers: in commit order, each message encoded once, to
 * those who may see it.
 *
 * Everything happens in one line (`#line`), one step after the other, so a subscriber joins exactly
 * between two changes and misses none.
 */
export class Feed {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #subscribers = new Set<Subscriber>();
  /** The same connections, by user and by tenant. */
  readonly connections = new ConnectionIndex();
  readonly #pending: ChangeRecord[] = [];
  readonly #recent = new RecentChanges(OVERLAP_CHANGES);
  readonly #observer: FeedObserver;
  #model: DataModel;
  #visibility: Visibility;
  #indexes = new Map<string, AudienceIndex>();
  #routes = new Map<string, Route>();
  #line: Promise<void> = Promise.resolve();
  #isScheduled = false;
  #isClosing = false;
  readonly #sessionStatus: StatusOf;
  readonly #readTimeoutMs: number;
  #position = 0;
  #epoch = "";
  #unfollow: () => void = () => undefined;
  #delivered = 0;
  #endings = { slow: 0, resync: 0 };

  /**
   * @param readTimeoutMs how long one read for a subscriber that catches up may run, in
   *   milliseconds
   */
  constructor(
    store: Store,
    model: DataModel,
    now: () => number,
    sessionStatus: StatusOf,
    readTimeoutMs: number,
    observer: FeedObserver,
  ) {
    this.#store = store;
    this.#readTimeoutMs = readTimeoutMs;
    this.#sessionStatus = sessionStatus;
    this.#model = model;
    this.#now = now;
    this.#observer = observer;
    this.#visibility = new Visibility(store, model, now);
  }

  async start(): Promise<void> {
    // Followed before it is asked where the log is, so that nothing falls between.
    this.#unfollow = this.#store.follow((changes) => {
      this.#pending.push(...changes);
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      // The writers that wait for this commit are answered first.
      runIn(undefined, () => setImmediate(() => void this.#enqueue(() => this.#deliverPending())));
    });
    const { head, epoch } = await this.#store.bounds();
    for (const { seq, at } of await this.#changesUpTo(head, Math.max(0, head - OVERLAP_CHANGES)))
      this.#recent.add(seq, at);
    this.#position = Math.max(this.#position, head);
    this.#epoch = epoch;
  }

  stop(): void {
    this.#unfollow();
  }

  get size(): number {
    return this.#subscribers.size;
  }

  /** What it counted since the start, and where in the log it is. */
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
  byTransport(): Record<"websocket" | "sse", number> {
    const counts = { websocket: 0, sse: 0 };
    for (const { transport } of this.#subscribers) counts[transport] += 1;
    return counts;
  }

  /** How long the oldest change waits that is not delivered yet, in milliseconds. */
  get waitingMs(): number {
    const [oldest] = this.#pending;
    return oldest === undefined ? 0 : this.#now() - oldest.at;
  }

  get subscribers(): Iterable<Subscriber> {
    return this.#subscribers;
  }

  /**
   * Takes the app's model after a reload.
   *
   * @param isSameData its entities and policies are as before; else every replica may be wrong now
   *   and is made anew
   */
  setModel(model: DataModel, isSameData: boolean): void {
    this.#model = model;
    this.#visibility = new Visibility(this.#store, model, this.#now);
    this.#routes = new Map();
    this.#indexes = new Map();
    if (isSameData) return;
    for (const subscriber of [...this.#subscribers]) {
      subscriber.resync("the app's schema or policies changed");
      this.leave(subscriber);
    }
  }

  /** The server stops: clients go elsewhere, who is just joining too. */
  closeAll(): void {
    this.#isClosing = true;
    for (const subscriber of [...this.#subscribers]) {
      sendElsewhere(subscriber);
      this.leave(subscriber);
    }
  }

  /**
   * Brings the subscriber up to date and keeps it so.
   *
   * @param cursor where its replica is; null for a client that does not say
   */
  async join(subscriber: Subscriber, cursor: Cursor | null): Promise<void> {
    try {
      await this.#join(subscriber, cursor);
    } catch (error) {
      this.#observer.failed(error);
      subscriber.close(CloseCode.TRY_AGAIN_LATER, "the server can't read its log now");
    }
  }

  async #join(subscriber: Subscriber, cursor: Cursor | null): Promise<void> {
    // What the client has read already, here or from another replica, was committed before this. If
    // the feed were behind it, its rows would go back in time.
    await this.#settle();
    const isContinuing = cursor !== null;
    if (isContinuing && !(await this.#canContinue(cursor, subscriber.caller))) {
      subscriber.resync("the replica is too old to be continued");
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
        subscriber.resync("the caller's rights changed");
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
      this.#subscribers.add(subscriber);
      this.connections.add(subscriber);
      for (const index of this.#indexes.values()) index.add(subscriber);
    });
    // Only from here on is it told when its session ends, which may have been while it caught up.
    if (!(await this.#mayStay(subscriber))) this.leave(subscriber);
  }

  /** Delivers everything that was committed before the call. */
  async #settle(): Promise<void> {
    await this.#store.settle();
    await this.#enqueue(() => this.#deliverPending());
  }

  /**
   * While it catches up, it is told nothing of its session.
   *
   * @returns false, and closes it, when the session is over or another
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
    if (!this.#subscribers.delete(subscriber)) return;
    this.connections.delete(subscriber);
    for (const index of this.#indexes.values()) index.delete(subscriber);
  }

  /**
   * What was caught up on was judged by the rights of now, and a change to them is still to come.
   */
  async #permissionsChangedAfter({ caller }: Subscriber): Promise<boolean> {
    if (!this.#visibility.looksAtRights) return false;
    await this.#store.settle();
    return this.#pending.some(
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
   * Tells the subscriber of a part of what it missed, up to where the feed is now.
   *
   * @param isContinuing the subscriber's replica is known; else it is served a few changes again,
   *   for good measure
   * @param limit most changes
   * @returns up to where it knows what changed, and whether that was as far as the feed was: only
   *   then is no row ahead of the feed
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
      subscriber.resync("the replica is too old to be continued");
      return { seq: end, isWhole: true };
    }
    const { caller } = subscriber;
    if (
      isContinuing &&
      records.some((record) => this.#visibility.affectsPermissions(record, caller))
    ) {
      subscriber.resync("the caller's rights changed");
      return { seq: end, isWhole: true };
    }
    const isWhole = last === undefined || (last.seq === end && !isAhead);
    const events = await this.#catchUpFor(subscriber).events(records, caller, isWhole);
    // Asked after rows were read: what is in them may have been written after the session's end.
    if (await this.#mayStay(subscriber))
      for (const event of events) subscriber.send(JSON.stringify(event));
    return { seq: last?.seq ?? end, isWhole };
  }

  /** All changes after one up to another: the store ends a page of large ones early. */
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

  /** How much a subscriber has to catch up on is its own doing, so it reads within its share. */
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
    const records = this.#pending.splice(0);
    if (this.#subscribers.size === 0 || records.length === 0) return this.#deliverAll(records);
    return this.#observer.traced(records.length, this.#subscribers.size, () =>
      this.#deliverAll(records),
    );
  }

  async #deliverAll(records: readonly ChangeRecord[]): Promise<void> {
    for (const [index, record] of records.entries()) {
      if (record.seq <= this.#position) continue;
      try {
        if (this.#subscribers.size > 0) {
          await this.#deliver(record, records, index);
          this.#observer.delivered(this.#now() - record.at);
        }
      } catch (error) {
        this.#observer.failed(error);
        this.#sendAway();
      }
      this.#position = record.seq;
      this.#recent.add(record.seq, record.at);
    }
  }

  /** Who may have missed a change comes back with its cursor, and catches up. */
  #sendAway(): void {
    for (const subscriber of [...this.#subscribers]) {
      subscriber.close(CloseCode.TRY_AGAIN_LATER, "the server could not read its database");
      this.leave(subscriber);
    }
  }

  async #deliver(
    record: ChangeRecord,
    records: readonly ChangeRecord[],
    index: number,
  ): Promise<void> {
    const { schema } = this.#model;
    // A system table's, or an entity of another version of the app that runs beside this one.
    if (schema.find(record.entity) === undefined) return;
    const route = this.#routeOf(record.entity);
    const encoded = new Map<ChangeEvent["kind"], string>();
    if (this.#visibility.isImmediate(record.entity)) {
      for (const audience of candidates(route, record)) {
        const event = this.#visibility.eventFor(record, audience.caller);
        if (event !== undefined) this.#broadcast(audience, encodeOnce(encoded, event));
      }
      return;
    }
    for (const audience of [...route.index.all()]) {
      const seen = await this.#visibility.seen(record, audience.caller, async () => {
        await this.#store.settle();
        return [...records.slice(index + 1), ...this.#pending];
      });
      if (seen === RESYNC) {
        for (const subscriber of [...audience.members]) {
          subscriber.resync("the caller's rights changed");
          this.leave(subscriber);
        }
        continue;
      }
      for (const event of seen) this.#broadcast(audience, JSON.stringify(event));
    }
  }

  #broadcast(audience: Audience, text: string): void {
    for (const subscriber of audience.members) subscriber.send(text);
    this.#delivered += audience.members.size;
  }

  /**
   * Which audiences an entity's changes can concern: those that its own rule tells apart, and the
   * rules that look at it.
   */
  #routeOf(entity: string): Route {
    const known = this.#routes.get(entity);
    if (known !== undefined) return known;
    const { policies } = this.#model;
    const own = policies.rule(entity, "read");
    const dependents = policies
      .readersOf(entity)
      .map((reader) => policies.rule(reader.entity, "read"));
    const names = [...new Set([own, ...dependents].flatMap(audienceKeyPaths))].toSorted();
    const field =
      names.length === 1 && dependents.length === 0
        ? discriminators(own).find(({ authName }) => authName === names[0])?.field
        : undefined;
    const route = { index: this.#indexOf(names), field };
    this.#routes.set(entity, route);
    return route;
  }

  #indexOf(names: readonly string[]): AudienceIndex {
    const key = names.join();
    let index = this.#indexes.get(key);
    if (index === undefined) {
      index = new AudienceIndex(names);
      for (const subscriber of this.#subscribers) index.add(subscriber);
      this.#indexes.set(key, index);
    }
    return index;
  }
}

function sendElsewhere(subscriber: Subscriber): void {
  subscriber.close(CloseCode.GOING_AWAY, "the server is stopping");
}

function candidates({ index, field }: Route, record: ChangeRecord): Iterable<Audience> {
  if (field === undefined) return index.all();
  return index.withValues([record.before?.[field] ?? null, record.after?.[field] ?? null]);
}

/** Of one change there are at most three messages: the whole row, the patch, the removal. */
function encodeOnce(encoded: Map<ChangeEvent["kind"], string>, event: ChangeEvent): string {
  let text = encoded.get(event.kind);
  if (text === undefined) {
    text = JSON.stringify(event);
    encoded.set(event.kind, text);
  }
  return text;
}
