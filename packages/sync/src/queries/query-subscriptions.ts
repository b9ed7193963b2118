import {
  MAX_SUBSCRIBE_BYTES,
  type CommitMessage,
  type Hello,
  type LiveMessage,
  type Row,
} from "@pylonsync/protocol";
import { PylonClientError } from "../connection/errors.ts";
import type { LiveClient } from "../connection/live-client.ts";
import { Backoff } from "../platform/backoff.ts";
import { Emitter } from "../platform/emitter.ts";
import type { Platform } from "../platform/platform.ts";
import type { AppliedChange, LocalStore, RowKey } from "../replica/local-store.ts";
import type { Demand, DemandedQuery, RowSource } from "../replica/row-source.ts";
import type { KeptQuery } from "../persistence/disk.ts";
import { demandedQuery } from "./demanded-query.ts";
import { includedParts } from "./included-parts.ts";
import { QuerySubscription, type RowEffects } from "./query-subscription.ts";

/** How long an unused query stays subscribed, in milliseconds: a page may show it again. */
const LINGER_MS = 30_000;
/**
 * The maximum number of window row ids sent on a new connection; more would make the message too
 * long.
 */
const MAX_KNOWN_IDS = 10_000;
/** The maximum number of queries that a later visit continues: the most recently shown. */
const MAX_KEPT = 50;
const PING = '{"type":"ping"}';
/** The delay before the server is polled again for its position, in milliseconds. */
const PING_AGAIN_MS = 500;
/** The minimum time between pings, in milliseconds: servers close sockets that send too often. */
const PING_PAUSE_MS = 20;
/** The status used for errors of a socket, which have no HTTP status. */
const REFUSED = 400;

/** The combined effects on the rows of subscriptions. */
export interface AppliedEffects {
  readonly effects: readonly (readonly [QuerySubscription, RowEffects])[];
  /** The newest change it contains. */
  readonly seq: number;
}

/** The dependencies of a page's subscriptions. */
export interface QuerySubscriptionsOptions {
  readonly store: LocalStore;
  readonly platform: Platform;
  /** Returns an id for a subscription of this page. */
  readonly nextId: () => number;
  /** The replica's cursor may have moved. */
  readonly onAdvance: () => void;
}

/**
 * The queries that a page shows, and with them the rows of its replica: each row is held once, as
 * long as a query contains it. A commit is shown atomically; a query that is requested again
 * continues from its last position.
 */
export class QuerySubscriptions implements RowSource, LiveClient {
  readonly #options: QuerySubscriptionsOptions;
  /** Emits after the store has applied effects. */
  readonly applied = new Emitter<AppliedEffects>();
  readonly #byKey = new Map<string, QuerySubscription>();
  /** By the server's numbers, on this connection. */
  readonly #byNumber = new Map<number, QuerySubscription>();
  /** Null without a connection that supports queries. */
  #send: ((text: string) => void) | null = null;
  /** The store has rows outside any query: they came with the page, or from a full replica. */
  #hasOthers = false;
  /** The entities whose rows are all held; each with a function to release them. */
  readonly #pinned = new Map<string, () => void>();
  /** The stored queries for a later visit; null if they have changed. */
  #kept: readonly KeptQuery[] | null = null;
  #cancelSweep: () => void = () => undefined;
  /** The newest change that the server has reported. */
  #serverSeq = 0;
  /** A change made by this page that the server has not reported yet. */
  #awaited = 0;
  #pingedAt = -Infinity;
  #cancelPing: () => void = () => undefined;

  constructor(options: QuerySubscriptionsOptions) {
    this.#options = options;
  }

  /** Holds all rows of the given entities, whether they are shown or not. */
  hello({ offline = [] }: Pick<Hello, "offline">): void {
    for (const [entity, unpin] of [...this.#pinned]) if (!offline.includes(entity)) unpin();
    for (const entity of offline) {
      if (this.#pinned.has(entity)) continue;
      const query = { entity, where: {}, order: undefined, limit: undefined };
      const { subscription, release } = this.follow(query, () => undefined);
      subscription.isPinned = true;
      this.#kept = null;
      this.#pinned.set(entity, () => {
        this.#pinned.delete(entity);
        subscription.isPinned = false;
        release();
      });
    }
  }

  /** The newest change that the server has reported. */
  get heard(): number {
    return this.#serverSeq;
  }

  demand(query: DemandedQuery, changed: () => void): Demand {
    const { subscription, release } = this.#hold(query, changed);
    return {
      get isReady() {
        return subscription.isReady;
      },
      get error() {
        return subscription.error;
      },
      release,
    };
  }

  /**
   * Subscribes to a query of another tab.
   *
   * @param changed called when it is ready, or rejected
   */
  follow(
    query: Omit<DemandedQuery, "matches">,
    changed: () => void,
  ): { readonly subscription: QuerySubscription; readonly release: () => void } {
    // The server reports the error of an invalid query.
    const demanded = queryOrNull(this.#options.store, query) ?? { ...query, matches: () => false };
    return this.#hold(demanded, changed);
  }

  #hold(
    query: DemandedQuery,
    changed: () => void,
  ): { readonly subscription: QuerySubscription; readonly release: () => void } {
    const key = keyOf(query);
    const subscription = this.#byKey.get(key) ?? this.#add(key, query);
    // More may be known of its fields and relations by now.
    subscription.query = query;
    subscription.cancelLinger?.();
    subscription.cancelLinger = null;
    subscription.demands += 1;
    // The most recently shown ones are kept.
    this.#byKey.delete(key);
    this.#byKey.set(key, subscription);
    const unsubscribe = subscription.changed.on(changed);
    let isReleased = false;
    return {
      subscription,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        unsubscribe();
        subscription.demands -= 1;
        if (subscription.demands === 0) this.#linger(key, subscription);
      },
    };
  }

  isMember(entity: string, condition: string, id: string): boolean {
    for (const one of this.#byKey.values())
      for (const part of one.parts)
        if (part.ids.has(id) && part.query.entity === entity && part.condition === condition)
          return true;
    return false;
  }

  /** The store has rows now that belong to no query. */
  foundOthers(): void {
    this.#hasOthers = true;
  }

  /**
   * Returns the queries that a later visit can continue. The list is stable until something
   * changes.
   */
  get kept(): readonly KeptQuery[] {
    if (this.#kept !== null) return this.#kept;
    const all = [...this.#byKey.values()];
    const others = all.filter(({ isPinned, isKnown }) => !isPinned && isKnown).slice(-MAX_KEPT);
    this.#kept = [...all.filter(({ isPinned }) => isPinned), ...others].flatMap((one) => {
      const kept = one.keptAt(this.#serverSeq);
      return kept === null ? [] : [kept];
    });
    return this.#kept;
  }

  /** Continues the queries that an earlier visit has stored; the store has their rows. */
  restore(kept: readonly KeptQuery[]): void {
    const { store } = this.#options;
    const { last_seq: at } = store.cursor;
    for (const { epoch, seq = at, ids, related, ...query } of kept) {
      const demanded = queryOrNull(store, { order: undefined, limit: undefined, ...query });
      if (demanded === null) continue;
      const key = keyOf(demanded);
      const known = this.#byKey.get(key);
      const one = known ?? new QuerySubscription(this.#options.nextId(), demanded);
      if (one.isKnown) continue;
      // If none was waiting, all were known as of the replica's cursor.
      one.restore({ epoch, related }, Math.max(seq, at), ids ?? this.#matching(demanded));
      this.#byKey.set(key, one);
    }
    store.applyChanges([], new Set(kept.map(({ entity }) => entity)));
    this.#hasOthers = true;
  }

  *#matching({ entity, matches }: DemandedQuery): Generator<string> {
    for (const { entity: of, id, row } of this.#options.store.allConfirmed())
      if (of === entity && matches(row)) yield id;
  }

  opened(send: (text: string) => void): void {
    this.#send = send;
    let ids = 0;
    for (const [key, one] of this.#byKey) {
      if (one.demands === 0 && one.cancelLinger === null) this.#linger(key, one);
      ids += one.namedRows;
      this.#request(one, ids > MAX_KNOWN_IDS);
    }
    this.#ping();
    this.#cancelSweep();
    if (this.#hasOthers)
      this.#cancelSweep = this.#options.platform.after(LINGER_MS, () => this.#sweep());
  }

  closed(): void {
    this.#send = null;
    this.#byNumber.clear();
    this.#cancelSweep();
    this.#cancelPing();
    for (const one of this.#byKey.values()) {
      one.disconnect(this.#serverSeq);
      if (!one.isKnown) continue;
      one.cancelLinger?.();
      one.cancelLinger = null;
    }
  }

  /** Releases an unused query after a while; without a connection it is kept. */
  #linger(key: string, one: QuerySubscription): void {
    if (this.#send === null && one.isKnown) return;
    one.cancelLinger = this.#options.platform.after(LINGER_MS, () => this.#drop(key, one));
  }

  reset(): void {
    this.closed();
    this.#hasOthers = false;
    this.#serverSeq = this.#awaited = 0;
    for (const unpin of [...this.#pinned.values()]) unpin();
    for (const one of this.#byKey.values()) one.forget();
    this.#kept = null;
  }

  /** Polls until the server has reached this change: queries may not contain the written rows. */
  awaitChange(seq: number): void {
    if (seq <= Math.max(this.#serverSeq, this.#awaited)) return;
    this.#awaited = seq;
    const { now, after } = this.#options.platform;
    const waitMs = Math.min(this.#pingedAt + PING_PAUSE_MS - now(), PING_PAUSE_MS);
    if (waitMs <= 0) return this.#ping();
    this.#cancelPing();
    this.#cancelPing = after(waitMs, () => this.#ping());
  }

  #ping(): void {
    this.#cancelPing();
    if (this.#send === null || this.#serverSeq >= this.#awaited) return;
    this.#send(PING);
    this.#pingedAt = this.#options.platform.now();
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
      case "result":
      case "failed":
      case "pushed":
        return undefined;
    }
    const one = this.#byNumber.get(message.sub);
    if (one === undefined) return;
    if (message.type === "rows") one.take(message);
    else if (message.type === "resync") one.resync();
    else {
      const effects = one.parts.map((part): [QuerySubscription, RowEffects] => [
        part,
        part.complete(message),
      ]);
      this.#apply(effects, message.seq, this.#othersOf(one));
      one.show();
    }
  }

  #answer(message: Extract<LiveMessage, { type: "joined" | "error" }>): void {
    for (const one of this.#byKey.values()) {
      if (one.id !== message.id) continue;
      if (message.type === "joined") {
        one.number = message.sub;
        one.include(includedParts(this.#options.store, one.query.entity, message));
        for (const part of one.parts)
          if (part.number !== null) this.#byNumber.set(part.number, part);
      } else {
        for (const { number } of one.parts) if (number !== null) this.#byNumber.delete(number);
        this.#refused(one, new PylonClientError(REFUSED, message));
      }
    }
  }

  #refused(one: QuerySubscription, error: PylonClientError): void {
    if (error.code === "PAYLOAD_TOO_LARGE" && one.isKnown) {
      // The list of known row ids was too long.
      one.resync();
      return this.#request(one);
    }
    const idle = [...this.#byKey].find(([, { demands }]) => demands === 0);
    if (error.code === "SUBSCRIPTION_LIMIT_REACHED" && one.demands > 0 && idle !== undefined) {
      this.#drop(...idle);
      return this.#request(one);
    }
    if (error.retryAfter !== undefined) return this.#retryLater(one, error.retryAfter * 1_000);
    this.#kept = null;
    one.fail(error);
  }

  /** Requests a query again that the server could not read at the moment. */
  #retryLater(one: QuerySubscription, baseMs: number): void {
    const { platform } = this.#options;
    one.disconnect(this.#serverSeq);
    one.backoff ??= new Backoff(platform, baseMs);
    one.cancelRetry = platform.after(baseMs + one.backoff.next(), () => this.#request(one));
  }

  #commit({ seq, changes }: CommitMessage): void {
    const effects = changes.flatMap((change): [QuerySubscription, RowEffects][] => {
      const one = this.#byNumber.get(change.sub);
      return one === undefined ? [] : [[one, one.change(change)]];
    });
    this.#apply(effects, seq);
  }

  #add(key: string, query: DemandedQuery): QuerySubscription {
    const subscription = new QuerySubscription(this.#options.nextId(), query);
    const similar = this.#send === null ? undefined : this.#largestOver(query);
    if (similar !== undefined) subscription.beginWith(similar, this.#serverSeq);
    this.#byKey.set(key, subscription);
    this.#request(subscription);
    return subscription;
  }

  /** Returns the in-sync query with the most rows over the same condition. */
  #largestOver({ entity, where }: DemandedQuery): QuerySubscription | undefined {
    const asked = JSON.stringify(where);
    let largest: QuerySubscription | undefined;
    for (const one of this.#byKey.values()) {
      const isSame = one.query.entity === entity && one.condition === asked;
      if (isSame && !one.isWaiting && one.ids.size > (largest?.ids.size ?? 0)) largest = one;
    }
    return largest;
  }

  /** @param isAll whether to request all rows, even known ones */
  #request(subscription: QuerySubscription, isAll = false): void {
    if (this.#send === null) return;
    const text = JSON.stringify(subscription.request(isAll));
    const isTooLong = text.length > MAX_SUBSCRIBE_BYTES;
    this.#send(isTooLong ? JSON.stringify(subscription.request(true)) : text);
  }

  #drop(key: string, subscription: QuerySubscription): void {
    subscription.cancelLinger?.();
    subscription.cancelRetry();
    this.#byKey.delete(key);
    for (const { number } of subscription.parts) if (number !== null) this.#byNumber.delete(number);
    this.#send?.(JSON.stringify({ type: "unsubscribe", id: subscription.id }));
    const dropped = subscription.parts.map((part): [QuerySubscription, RowEffects] => [
      part,
      { rows: [], patches: [], gone: [...part.ids] },
    ]);
    this.#apply(dropped, this.#serverSeq);
  }

  /**
   * Applies the effects of messages to the store.
   *
   * @param seq the newest change in them
   * @param others removed rows that are in no query
   */
  #apply(
    effects: readonly (readonly [QuerySubscription, RowEffects])[],
    seq: number,
    others: readonly RowKey[] = [],
  ): void {
    const { store, onAdvance } = this.#options;
    this.#serverSeq = Math.max(this.#serverSeq, seq);
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
    if (effects.length > 0) this.#kept = null;
    if (effects.length > 0) store.applyChanges(changes, new Set(effects.map(entityOf)));
    else if (changes.length > 0) store.applyChanges(changes);
    // While a query waits for its rows, the replica may lack what was changed before.
    if (![...this.#byKey.values()].some(({ isWaiting }) => isWaiting))
      store.advanceTo(this.#serverSeq);
    this.applied.emit({ effects, seq: this.#serverSeq });
    onAdvance();
  }

  /** Rows that queries have lost, and that are in no other query. */
  *#freed(effects: readonly (readonly [QuerySubscription, RowEffects])[]): Generator<RowKey> {
    for (const [{ query }, { gone }] of effects)
      for (const id of gone)
        if (!this.#isHeld(query.entity, id)) yield { entity: query.entity, id };
  }

  #isHeld(entity: string, id: string): boolean {
    for (const one of this.#byKey.values())
      for (const { query, ids } of one.parts)
        if (query.entity === entity && ids.has(id)) return true;
    return false;
  }

  /** Matching rows that are in no query: the server's result replaces them. */
  #othersOf({ query }: QuerySubscription): RowKey[] {
    if (!this.#hasOthers) return [];
    return this.#unrequestedRows((entity, row) => entity === query.entity && query.matches(row));
  }

  /** Releases rows that no query has requested since the connection was opened. */
  #sweep(): void {
    this.#hasOthers = false;
    const others = this.#unrequestedRows(() => true);
    this.#apply([], this.#serverSeq, others);
  }

  #unrequestedRows(isMeant: (entity: string, row: Row) => boolean): RowKey[] {
    const found: RowKey[] = [];
    for (const { entity, id, row } of this.#options.store.allConfirmed())
      if (isMeant(entity, row) && !this.#isHeld(entity, id)) found.push({ entity, id });
    return found;
  }
}

function entityOf([{ query }]: readonly [QuerySubscription, RowEffects]): string {
  return query.entity;
}

/** Identifies a query. */
function keyOf({ entity, where, order, limit, include }: DemandedQuery): string {
  return JSON.stringify([entity, where, order, limit, include]);
}

/** @returns null if it does not match the current fields */
function queryOrNull(
  store: LocalStore,
  query: Omit<DemandedQuery, "matches">,
): DemandedQuery | null {
  try {
    return demandedQuery(store, query);
  } catch {
    return null;
  }
}
