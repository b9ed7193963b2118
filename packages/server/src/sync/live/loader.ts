import {
  MAX_PAGE_BYTES,
  MAX_RESULT_BYTES,
  MAX_SUBSCRIPTION_ROWS,
  PylonError,
} from "@pylonsync/protocol";
import { and, bind, type Expr, isFalse, rowComparator, TRUE } from "@pylonsync/query";
import type { Subscriber } from "../../connections/subscriber.ts";
import type { DataModel } from "../../data/model.ts";
import { idAfter } from "../../data/reads.ts";
import { resultTooLarge } from "../../data/result-size.ts";
import type { Platform } from "../../platform.ts";
import { reachOf } from "../../policy/rewind.ts";
import { userShare } from "../../request/reading.ts";
import { isFull } from "../../store/row-size.ts";
import type { ChangeRecord, Reader, Store, StoredRow } from "../../store/store.ts";
import { settledWithin } from "../../util/time-limit.ts";
import type { Delivery } from "../delivery.ts";
import type { DeliveryQueue } from "../delivery-queue.ts";
import { PositionPassed } from "../position-reader.ts";
import { readsTime } from "../related/rights-plan.ts";
import { clockStep } from "../replica-epoch.ts";
import type { SubscriptionRegistry } from "../subscriptions/registry.ts";
import type { Subscription } from "../subscriptions/subscription.ts";
import type { IncludeTrees } from "./include-trees.ts";
import { isWanted, type Joiner } from "./joiner.ts";
import { conditionOf, isKnown, knownParts, withIncludes, type KnownLog } from "./known-log.ts";
import { Load } from "./load.ts";
import { sendRows, type SentRows } from "./send-rows.ts";
import { checkOrder } from "./subscription-weight.ts";

const PAGE = 500;
/**
 * The number of rows read beyond the limit of a window, if they are not too large: as many may turn
 * out to be newer than the feed.
 */
const SPARE = 64;
const ATTEMPTS = 5;
/** How long joiners wait for one that reads a page more slowly, in milliseconds. */
const PAGE_MS = 250;
/** The maximum number of changes to catch up on; beyond that, the client receives all rows. */
const MAX_CONTINUED = 5_000;

/** The dependencies of the loader. */
export interface LoaderOptions {
  readonly store: Store;
  readonly registry: SubscriptionRegistry;
  readonly delivery: Delivery;
  readonly trees: IncludeTrees;
  readonly queue: DeliveryQueue;
  /** @returns false, after closing it, if its session has ended or changed */
  readonly mayStay: (subscriber: Subscriber) => Promise<boolean>;
  readonly model: () => DataModel;
  readonly now: () => number;
  readonly readTimeoutMs: number;
  readonly after: Platform["after"];
  /** Called if the rows can't be read. */
  readonly onFailure: (
    subscription: Subscription,
    joiners: readonly Joiner[],
    error: unknown,
  ) => void;
}

/** The rows that were read, before they are adjusted to the feed's position. */
interface Found {
  readonly load: Load;
  /** Those for whom they were read. */
  readonly joiners: readonly Joiner[];
  /** For a window: its rows in order, more than its limit. */
  readonly rows: readonly StoredRow[];
  readonly isCut: boolean;
}

/**
 * Adds members to subscriptions: reads the rows in parallel with the feed, then joins between two
 * of its deliveries, with the changes in between. A member that joins during a read shares the next
 * one.
 */
export class Loader {
  readonly #options: LoaderOptions;
  readonly #waiting = new Map<Subscription, Set<Joiner>>();
  /** The subscriptions whose joiners are being served. */
  readonly #served = new Set<Subscription>();

  constructor(options: LoaderOptions) {
    this.#options = options;
  }

  join(subscription: Subscription, joiner: Joiner): void {
    const room = joiner.connection.subscriber.room();
    if (room === null) return this.#wait(subscription, joiner);
    // It is kept for this joiner, too, while it waits.
    this.#keep(subscription, async () => {
      await room;
      this.#wait(subscription, joiner);
    });
  }

  #wait(subscription: Subscription, joiner: Joiner): void {
    const waiting = this.#waiting.get(subscription) ?? new Set();
    this.#waiting.set(subscription, waiting.add(joiner));
    if (this.#served.has(subscription)) return;
    this.#served.add(subscription);
    // Subscriptions in the same turn of the event loop are served together.
    this.#keep(subscription, async () => {
      await Promise.resolve();
      await this.#serve(subscription);
    });
  }

  /** Keeps a subscription, although it may have no members, until the work is done. */
  #keep(subscription: Subscription, work: () => Promise<void>): void {
    subscription.awaiting += 1;
    void work().finally(() => {
      subscription.awaiting -= 1;
      this.#options.registry.release(subscription);
    });
  }

  async #serve(subscription: Subscription): Promise<void> {
    for (;;) {
      const joiners = [...(this.#waiting.get(subscription) ?? [])];
      this.#waiting.delete(subscription);
      if (joiners.length === 0) break;
      try {
        await this.#joinAll(subscription, joiners);
      } catch (error) {
        this.#options.onFailure(subscription, joiners.filter(isWanted(subscription)), error);
      }
    }
    this.#served.delete(subscription);
  }

  async #joinAll(subscription: Subscription, joiners: readonly Joiner[]): Promise<void> {
    const { queue } = this.#options;
    // The client has only read data that was committed before this: rows must not go back in time.
    await queue.settle();
    let left = joiners.filter(isWanted(subscription));
    for (let attempt = 0; left.length > 0; attempt += 1) {
      if (attempt === ATTEMPTS)
        throw new PylonError("OVERLOADED", "The rows change too fast to be loaded.", {
          hint: "Try again in a few seconds.",
          extra: { retry_after_secs: 1 },
        });
      left = await this.#attempt(subscription, left);
      left = left.filter(isWanted(subscription));
    }
  }

  /** @returns the joiners that must be served again */
  async #attempt(subscription: Subscription, joiners: readonly Joiner[]): Promise<Joiner[]> {
    const { queue } = this.#options;
    const load = new Load();
    let start = 0;
    await queue.enqueue(() => {
      subscription.loads.add(load);
      start = queue.position;
      return Promise.resolve();
    });
    try {
      const log = await this.#logFor(subscription, joiners, start);
      const continuing = joiners.filter(({ known }) => isKnown(known, log));
      const fresh = joiners.filter((joiner) => !continuing.includes(joiner));
      const isWindow = subscription.window !== null;
      const found = isWindow
        ? await this.#readWindow(subscription, joiners, load)
        : await this.#readPages(subscription, fresh, load);
      const again: Joiner[] = [];
      await queue.enqueue(async () => {
        await queue.deliver();
        if (load.isVoid) {
          again.push(...(isWindow ? joiners : [...found.joiners, ...continuing]));
          return;
        }
        if (isWindow) again.push(...(await this.#enterWindow(subscription, joiners, found, log)));
        else {
          await this.#correct(subscription, found.joiners, load);
          for (const joiner of continuing) await this.#continue(subscription, joiner, load, log);
          this.#enter(subscription, [...found.joiners, ...continuing]);
        }
      });
      return again;
    } finally {
      subscription.loads.delete(load);
    }
  }

  /**
   * Reads the log since the oldest cursor that can be continued.
   *
   * @returns null if there is none
   */
  async #logFor(
    subscription: Subscription,
    joiners: readonly Joiner[],
    end: number,
  ): Promise<KnownLog | null> {
    const { queue, registry } = this.#options;
    const epoch = this.epochOf(subscription);
    const cursors = joiners.flatMap(({ known }) =>
      known !== undefined &&
      conditionOf(known.epoch) === conditionOf(epoch) &&
      known.seq <= end &&
      end - known.seq <= MAX_CONTINUED
        ? [known.seq]
        : [],
    );
    if (cursors.length === 0) return null;
    const after = Math.min(...cursors);
    const records = await queue.changes(after, end, MAX_RESULT_BYTES);
    if (records === null) return null;
    const truth = this.#truthOf(subscription);
    // Rows may have entered and left only because permissions changed.
    const moved = records.findLast(
      (record) =>
        registry.findDependent(record).has(subscription) && !isFalse(reachOf(truth, record)),
    );
    return { epoch, after: Math.max(after, moved?.seq ?? 0), end, records };
  }

  /**
   * Identifies the log and the condition to which a cursor belongs, the hour if the condition reads
   * the time, and the includes.
   */
  epochOf(subscription: Subscription): string {
    const { queue, now } = this.#options;
    const { knownUnder, truth } = subscription;
    const hour = readsTime(truth) ? `.${clockStep(now())}` : "";
    return withIncludes(`${queue.epoch}.${knownUnder}${hour}`, subscription);
  }

  #sendRows(subscription: Subscription, joiners: readonly Joiner[], rows: SentRows): Promise<void> {
    return sendRows(subscription, joiners, rows, this.#options.mayStay);
  }

  #truthOf({ truth }: Subscription): Expr {
    return bind(truth, { now: new Date(this.#options.now()).toISOString() });
  }

  #readerFor([joiner]: readonly Joiner[]): Reader {
    const { store, readTimeoutMs } = this.#options;
    if (joiner === undefined) return store;
    const { caller, id } = joiner.connection.subscriber;
    return store.limitedReader({
      caller: userShare(caller) ?? `connection ${id}`,
      timeoutMs: readTimeoutMs,
    });
  }

  async #readWindow(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
  ): Promise<Found> {
    const { entity, order, limit = 0 } = subscription.query;
    const rows = await this.#readerFor(joiners).select({
      entity,
      where: this.#truthOf(subscription),
      order,
      limit: limit + SPARE,
      maxBytes: MAX_RESULT_BYTES,
    });
    if (isFull(rows.slice(0, limit), MAX_RESULT_BYTES)) throw resultTooLarge();
    for (const { id } of rows) load.read.add(id);
    // Large rows leave no room for all spare ones.
    const isCut = rows.length === limit + SPARE || isFull(rows, MAX_RESULT_BYTES);
    return { load, joiners, rows, isCut };
  }

  /**
   * Reads and sends the rows page by page. A joiner that reads much more slowly than the others
   * receives the rest by itself, so that nobody waits for it.
   *
   * @param after the id of the last row that a slow joiner has received, for which rows are read
   *   alone
   */
  async #readPages(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
    after: string | null = null,
  ): Promise<Found> {
    const { entity } = subscription;
    const reader = this.#readerFor(joiners);
    const truth = this.#truthOf(subscription);
    let left = joiners.filter(isWanted(subscription));
    for (let last = after; left.length > 0;) {
      const isFirst = last === null;
      const rows: StoredRow[] = await reader.select({
        entity,
        where: and(last === null ? TRUE : idAfter(last), truth),
        limit: PAGE,
        maxBytes: MAX_PAGE_BYTES,
      });
      for (const { id } of rows) load.read.add(id);
      if (load.read.size > MAX_SUBSCRIPTION_ROWS)
        throw new PylonError(
          "RESULT_TOO_LARGE",
          `A subscription may have at most ${MAX_SUBSCRIPTION_ROWS} rows.`,
          { hint: "Restrict the rows with where or limit." },
        );
      if (rows.length > 0 || isFirst)
        await this.#sendRows(subscription, left, { rows, ...(isFirst ? { reset: true } : {}) });
      last = rows.at(-1)?.id ?? null;
      if (last === null || (rows.length < PAGE && !isFull(rows, MAX_PAGE_BYTES))) break;
      const slow = await this.#waitForReaders(left, after !== null);
      for (const joiner of slow) this.#readAlone(subscription, joiner, load.copy(), last);
      left = left.filter((joiner) => !slow.has(joiner)).filter(isWanted(subscription));
    }
    return { load, joiners: left, rows: [], isCut: false };
  }

  /** @returns those that have not read everything in time; none if it has no limit */
  async #waitForReaders(
    joiners: readonly Joiner[],
    isUnlimited: boolean,
  ): Promise<ReadonlySet<Joiner>> {
    const slow = new Set(joiners);
    const reading = Promise.all(
      joiners.map(async (joiner) => {
        await joiner.connection.subscriber.drained();
        slow.delete(joiner);
      }),
    );
    if (isUnlimited) await reading;
    else await settledWithin(this.#options, reading, PAGE_MS);
    return slow;
  }

  /** Sends a slow joiner the rows that others have already received. */
  #readAlone(subscription: Subscription, joiner: Joiner, load: Load, after: string): void {
    const { queue, onFailure } = this.#options;
    subscription.loads.add(load);
    this.#keep(subscription, async () => {
      try {
        await joiner.connection.subscriber.drained();
        const { joiners } = await this.#readPages(subscription, [joiner], load, after);
        await queue.enqueue(async () => {
          await queue.deliver();
          if (load.isVoid) return this.join(subscription, joiner);
          await this.#correct(subscription, joiners, load);
          this.#enter(subscription, joiners);
        });
      } catch (error) {
        onFailure(subscription, [joiner].filter(isWanted(subscription)), error);
      } finally {
        subscription.loads.delete(load);
      }
    });
  }

  /** Sends rows that changed while pages were read, or that were read in a later state. */
  async #correct(
    subscription: Subscription,
    joiners: readonly Joiner[],
    load: Load,
  ): Promise<void> {
    if (joiners.length === 0) return;
    const rows: StoredRow[] = [];
    const gone: string[] = [];
    for (const [id, { row, wasIn }] of await this.#states(subscription, load))
      if (row !== null) rows.push(row);
      else if (wasIn || load.read.has(id)) gone.push(id);
    if (rows.length > 0 || gone.length > 0)
      await this.#sendRows(subscription, joiners, { rows, gone });
  }

  /** The states at the feed's position of rows that changed while others were read. */
  async #states(subscription: Subscription, load: Load): Promise<Load["changed"]> {
    const { queue, delivery } = this.#options;
    const states = new Map(load.changed);
    const isSeen = new Set<string>();
    for (const { entity, rowId, before } of queue.later()) {
      if (entity !== subscription.entity || isSeen.has(rowId)) continue;
      isSeen.add(rowId);
      const isIn = await delivery.holds(subscription, before);
      if (isIn || load.read.has(rowId) || states.has(rowId))
        states.set(rowId, {
          wasIn: states.get(rowId)?.wasIn === true,
          row: isIn ? before : null,
        });
    }
    return states;
  }

  /** Sends a returning client the rows that changed, each in its current state. */
  async #continue(
    subscription: Subscription,
    { connection, known }: Joiner,
    load: Load,
    log: KnownLog | null,
  ): Promise<void> {
    const { delivery } = this.#options;
    const states = await this.#states(subscription, load);
    const rows: StoredRow[] = [];
    const gone: string[] = [];
    const histories = new Map<string, ChangeRecord[]>();
    for (const record of log?.records ?? [])
      if (record.entity === subscription.entity && record.seq > (known?.seq ?? 0))
        histories.set(record.rowId, [...(histories.get(record.rowId) ?? []), record]);
    for (const [id, records] of histories) {
      if (states.has(id)) continue;
      const row = records.at(-1)?.after ?? null;
      const isIn = await delivery.holds(subscription, row);
      states.set(id, { wasIn: false, row: isIn ? row : null });
    }
    for (const [id, { row, wasIn }] of states)
      if (row !== null) rows.push(row);
      else if (wasIn || (await this.#wasIn(subscription, histories.get(id) ?? []))) gone.push(id);
    if (rows.length > 0 || gone.length > 0)
      await this.#sendRows(subscription, [{ connection, known }], { rows, gone });
  }

  async #wasIn(subscription: Subscription, records: readonly ChangeRecord[]): Promise<boolean> {
    for (const { before } of records)
      if (await this.#options.delivery.holds(subscription, before)) return true;
    return false;
  }

  /** @returns those for which the window must be read again */
  async #enterWindow(
    subscription: Subscription,
    joiners: readonly Joiner[],
    found: Found,
    log: KnownLog | null,
  ): Promise<readonly Joiner[]> {
    const { window } = subscription;
    if (window === null) return [];
    const compare = rowComparator(window.order);
    const states = await this.#states(subscription, found.load);
    const last = found.rows.at(-1);
    let rows = found.rows.filter(({ id }) => !states.has(id));
    for (const { row } of states.values()) if (row !== null) rows.push(row);
    rows.sort(compare);
    if (found.isCut && last !== undefined) rows = rows.filter((row) => compare(row, last) <= 0);
    if (found.isCut && rows.length < window.limit) return joiners;
    if (subscription.members.size === 0) {
      window.begin(rows, found.isCut || rows.length > window.limit);
      checkOrder(window);
    }
    const shown = rows.slice(0, window.limit);
    const fresh: Joiner[] = [];
    for (const joiner of joiners) {
      const { known } = joiner;
      if (log === null || known?.ids === undefined || !isKnown(known, log)) {
        fresh.push(joiner);
        continue;
      }
      const ids = new Set(known.ids);
      for (const { entity, rowId, seq } of log.records)
        if (entity === subscription.entity && seq > known.seq) ids.delete(rowId);
      const isKept = ({ id }: StoredRow): boolean => ids.has(id) && !states.has(id);
      const shownIds = new Set(shown.map(({ id }) => id));
      // Unchanged rows are not sent.
      await this.#sendRows(subscription, [joiner], {
        rows: shown.filter((row) => !isKept(row)),
        gone: known.ids.filter((id) => !shownIds.has(id)),
      });
    }
    await this.#sendRows(subscription, fresh, { reset: true, rows: shown });
    const hasRelated = subscription.branches.length > 0;
    if (hasRelated && !(await this.#sendRelated(subscription, joiners, log))) return joiners;
    this.#enter(subscription, joiners);
    return [];
  }

  /** @returns false if the rows change too fast, so that everything must be read again */
  async #sendRelated(
    subscription: Subscription,
    joiners: readonly Joiner[],
    log: KnownLog | null,
  ): Promise<boolean> {
    const { trees, queue } = this.#options;
    const known = new Map<Joiner, ReadonlyMap<Subscription, readonly string[]>>();
    for (const joiner of joiners)
      if (isKnown(joiner.known, log) && joiner.known?.epoch === this.epochOf(subscription))
        known.set(joiner, knownParts(subscription, joiner.known));
    try {
      const parts = await trees.begin(subscription, this.#readerFor(joiners));
      // Including the changes that were committed while the rows were read.
      const later =
        known.size > 0 && log
          ? await queue.changes(log.end, queue.position, MAX_RESULT_BYTES)
          : null;
      const records = later === null ? null : [...(log?.records ?? []), ...later];
      for (const { subscription: part, rows } of parts) {
        const fresh: Joiner[] = [];
        for (const joiner of joiners) {
          const ids = known.get(joiner)?.get(part);
          if (ids === undefined || records === null) fresh.push(joiner);
          else await this.#continueRelated(part, joiner, { rows, ids, records });
        }
        await this.#sendRows(part, fresh, { reset: true, rows });
      }
      return true;
    } catch (error) {
      if (error instanceof PositionPassed) return false;
      throw error;
    }
  }

  /** Sends a returning client the related rows whose current state it lacks. */
  async #continueRelated(
    part: Subscription,
    joiner: Joiner,
    {
      rows,
      ids,
      records,
    }: {
      readonly rows: readonly StoredRow[];
      readonly ids: readonly string[];
      readonly records: readonly ChangeRecord[];
    },
  ): Promise<void> {
    const since = joiner.known?.seq ?? 0;
    const kept = new Set(ids);
    for (const { entity, rowId, seq } of records)
      if (entity === part.entity && seq > since) kept.delete(rowId);
    const shown = new Set(rows.map(({ id }) => id));
    const changed = rows.filter(({ id }) => !kept.has(id));
    const gone = ids.filter((id) => !shown.has(id));
    if (changed.length + gone.length > 0)
      await this.#sendRows(part, [joiner], { rows: changed, gone });
  }

  #enter(subscription: Subscription, joiners: readonly Joiner[]): void {
    const { queue } = this.#options;
    const ready = JSON.stringify({
      type: "ready",
      sub: subscription.number,
      seq: queue.position,
      epoch: this.epochOf(subscription),
    });
    for (const { connection } of joiners.filter(isWanted(subscription))) {
      for (const { members } of subscription.parts) members.add(connection.subscriber);
      connection.subscriber.send(ready);
    }
  }
}
