import type { CommitMessage, LiveMessage, Row } from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import type { Platform } from "../platform/platform.ts";
import type { AppliedChange, LocalStore, RowKey } from "../replica/local-store.ts";
import type { Demand, DemandedQuery, RowSource } from "../replica/row-source.ts";
import { QuerySubscription, type RowEffects } from "./query-subscription.ts";

/** How long a query that nobody shows is kept, in milliseconds: a page may show it again. */
const LINGER_MS = 30_000;
/** The ids of windows that are named when a connection is new; more would be too long a message. */
const MAX_KNOWN_IDS = 10_000;
const PING = '{"type":"ping"}';
/** How long after the server was asked how far it is, in milliseconds, it is asked again. */
const PING_AGAIN_MS = 500;
/** What an error of a socket counts as, which has no HTTP status. */
const REFUSED = 400;

/** What the subscriptions of a page are kept with. */
export interface QuerySubscriptionsOptions {
  readonly store: LocalStore;
  readonly platform: Platform;
  /** The replica's cursor may have moved. */
  readonly onAdvance: () => void;
}

/**
 * The queries that a page shows, and with them the rows that its replica holds: each row once, for
 * as long as a query has it. A commit is shown whole; a query that is asked for again goes on from
 * where it was.
 */
export class QuerySubscriptions implements RowSource {
  readonly #options: QuerySubscriptionsOptions;
  readonly #byKey = new Map<string, QuerySubscription>();
  /** By the server's numbers, on this connection. */
  readonly #byNumber = new Map<number, QuerySubscription>();
  #lastId = 0;
  /** Null without a connection on which queries can be asked for. */
  #send: ((text: string) => void) | null = null;
  /** There is a whole replica in place of single queries. */
  #isWhole = false;
  /** The store has rows that no query has: of an earlier visit, or of a whole replica. */
  #hasOthers = false;
  #cancelSweep: () => void = () => undefined;
  /** The newest change that the server has told of. */
  #heard = 0;
  /** A change that this page has made, and that the server has not told of. */
  #awaited = 0;
  #cancelPing: () => void = () => undefined;

  constructor(options: QuerySubscriptionsOptions) {
    this.#options = options;
  }

  demand(query: DemandedQuery, changed: () => void): Demand {
    const { entity, where, order, limit } = query;
    const key = JSON.stringify([entity, where, order, limit]);
    const subscription = this.#byKey.get(key) ?? this.#add(key, query);
    subscription.cancelLinger();
    subscription.demands += 1;
    const unsubscribe = subscription.changed.on(changed);
    let isReleased = false;
    return {
      get isReady() {
        return subscription.isReady;
      },
      get error() {
        return subscription.error;
      },
      release: () => {
        if (isReleased) return;
        isReleased = true;
        unsubscribe();
        subscription.demands -= 1;
        if (subscription.demands > 0) return;
        subscription.cancelLinger = this.#options.platform.after(LINGER_MS, () =>
          this.#drop(key, subscription),
        );
      },
    };
  }

  /**
   * A connection has said hello: everything is asked for on it.
   *
   * @param send sends over it
   * @param hasOthers the store has rows that are of no query
   */
  opened(send: (text: string) => void, hasOthers: boolean): void {
    this.#send = send;
    if (this.#isWhole) for (const one of this.#byKey.values()) one.forget(true);
    this.#hasOthers ||= hasOthers || this.#isWhole;
    this.#isWhole = false;
    let ids = 0;
    for (const one of this.#byKey.values()) {
      ids += one.query.limit === undefined ? 0 : one.ids.size;
      this.#ask(one, ids <= MAX_KNOWN_IDS ? this.#options.store.cursor.last_seq : null);
    }
    this.#ping();
    this.#cancelSweep();
    if (this.#hasOthers)
      this.#cancelSweep = this.#options.platform.after(LINGER_MS, () => this.#sweep());
  }

  /** The connection has ended. */
  closed(): void {
    this.#send = null;
    this.#byNumber.clear();
    this.#cancelSweep();
    this.#cancelPing();
    for (const one of this.#byKey.values()) one.disconnect();
  }

  /** The replica holds everything, and goes on to. */
  becameWhole(): void {
    this.closed();
    this.#isWhole = true;
    for (const one of this.#byKey.values()) one.forget(true);
  }

  /** What the replica held is another user's. */
  reset(): void {
    this.closed();
    this.#isWhole = this.#hasOthers = false;
    this.#heard = this.#awaited = 0;
    for (const one of this.#byKey.values()) one.forget(false);
  }

  /** Asks until the server has come so far: none of the queries may tell of what was written. */
  awaitChange(seq: number): void {
    if (seq <= Math.max(this.#heard, this.#awaited)) return;
    this.#awaited = seq;
    this.#ping();
  }

  #ping(): void {
    this.#cancelPing();
    if (this.#send === null || this.#heard >= this.#awaited) return;
    this.#send(PING);
    this.#cancelPing = this.#options.platform.after(PING_AGAIN_MS, () => this.#ping());
  }

  take(message: LiveMessage): void {
    switch (message.type) {
      case "joined":
      case "error":
        return this.#answer(message);
      case "commit":
        return this.#commit(message);
      case "pong":
        return this.#apply([], message.seq);
      // Live functions have a socket of their own.
      case "result":
      case "failed":
        return undefined;
    }
    const one = this.#byNumber.get(message.sub);
    if (one === undefined) return;
    if (message.type === "rows") one.take(message);
    else if (message.type === "resync") one.resync();
    else {
      const effects = one.complete(message);
      this.#apply([[one, effects]], message.seq, this.#othersOf(one));
      one.show();
    }
  }

  #answer(message: Extract<LiveMessage, { type: "joined" | "error" }>): void {
    for (const one of this.#byKey.values()) {
      if (one.id !== message.id) continue;
      if (message.type === "joined") {
        one.number = message.sub;
        this.#byNumber.set(message.sub, one);
      } else {
        if (one.number !== null) this.#byNumber.delete(one.number);
        one.fail(new PylonClientError(REFUSED, message));
      }
    }
  }

  #commit({ seq, changes }: CommitMessage): void {
    const effects = changes.flatMap((change): [QuerySubscription, RowEffects][] => {
      const one = this.#byNumber.get(change.sub);
      return one === undefined ? [] : [[one, one.change(change)]];
    });
    this.#apply(effects, seq);
  }

  #add(key: string, query: DemandedQuery): QuerySubscription {
    const subscription = new QuerySubscription((this.#lastId += 1), query);
    const similar = this.#send === null ? undefined : this.#largestOver(query);
    if (similar !== undefined) subscription.beginWith(similar);
    this.#byKey.set(key, subscription);
    if (this.#isWhole) subscription.forget(true);
    this.#ask(subscription, similar === undefined ? null : this.#options.store.cursor.last_seq);
    return subscription;
  }

  /** Of the queries over the same condition that are in step, the one with the most rows. */
  #largestOver({ entity, where }: DemandedQuery): QuerySubscription | undefined {
    const condition = JSON.stringify(where);
    let largest: QuerySubscription | undefined;
    for (const one of this.#byKey.values()) {
      const isSame = one.query.entity === entity && JSON.stringify(one.query.where) === condition;
      if (isSame && !one.isWaiting && one.ids.size > (largest?.ids.size ?? 0)) largest = one;
    }
    return largest;
  }

  #ask(subscription: QuerySubscription, seq: number | null): void {
    this.#send?.(JSON.stringify(subscription.request(seq)));
  }

  #drop(key: string, subscription: QuerySubscription): void {
    this.#byKey.delete(key);
    if (subscription.number !== null) this.#byNumber.delete(subscription.number);
    this.#send?.(JSON.stringify({ type: "unsubscribe", id: subscription.id }));
    if (this.#isWhole) return;
    const gone = [...subscription.ids];
    this.#apply([[subscription, { rows: [], patches: [], gone }]], this.#heard);
  }

  /**
   * Lets the store take what messages do.
   *
   * @param seq of the newest change in them
   * @param others rows that are gone, and that no query has
   */
  #apply(
    effects: readonly (readonly [QuerySubscription, RowEffects])[],
    seq: number,
    others: readonly RowKey[] = [],
  ): void {
    const { store, onAdvance } = this.#options;
    this.#heard = Math.max(this.#heard, seq);
    const at = store.cursor.last_seq;
    const changes: AppliedChange[] = [];
    for (const [{ query, ids }, { rows, patches }] of effects) {
      const { entity } = query;
      for (const row of rows)
        changes.push({ seq: at, entity, row_id: row.id, kind: "insert", data: row });
      for (const row of patches)
        if (ids.has(row.id))
          changes.push({ seq: at, entity, row_id: row.id, kind: "update", data: row });
    }
    for (const { entity, id } of [...this.#freed(effects), ...others])
      changes.push({ seq: at, entity, row_id: id, kind: "delete" });
    if (changes.length > 0) store.applyChanges(changes);
    // While a query waits for its rows, the replica may lack what was changed before.
    if (![...this.#byKey.values()].some(({ isWaiting }) => isWaiting)) store.advanceTo(this.#heard);
    onAdvance();
  }

  /** The rows that queries have lost, and that no query has any more. */
  *#freed(effects: readonly (readonly [QuerySubscription, RowEffects])[]): Generator<RowKey> {
    for (const [{ query }, { gone }] of effects)
      for (const id of gone)
        if (!this.#isHeld(query.entity, id)) yield { entity: query.entity, id };
  }

  #isHeld(entity: string, id: string): boolean {
    for (const { query, ids } of this.#byKey.values())
      if (query.entity === entity && ids.has(id)) return true;
    return false;
  }

  /** Rows that the query would show, and that no query has: the server says now what there is. */
  #othersOf({ query }: QuerySubscription): RowKey[] {
    if (!this.#hasOthers) return [];
    return this.#unheld((entity, row) => entity === query.entity && query.matches(row));
  }

  /** Lets go of rows that no query has asked for since the connection is there. */
  #sweep(): void {
    this.#hasOthers = false;
    const others = this.#unheld(() => true);
    this.#apply([], this.#heard, others);
  }

  #unheld(isMeant: (entity: string, row: Row) => boolean): RowKey[] {
    const found: RowKey[] = [];
    for (const { entity, id, row } of this.#options.store.allConfirmed())
      if (isMeant(entity, row) && !this.#isHeld(entity, id)) found.push({ entity, id });
    return found;
  }
}
