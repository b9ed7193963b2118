import type { DataModel } from "../data/model.ts";
import { userShare } from "../request/reading.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import type { Cursor, Subscriber } from "../connections/subscriber.ts";
import type { FairTurns } from "../util/fair-turns.ts";
import { CatchUp } from "./catch-up.ts";
import type { DeliveryQueue } from "./delivery-queue.ts";
import { isBoundToCaller, isSameEpoch } from "./replica-epoch.ts";
import { endsUnboundCursors } from "./unbound-cursors.ts";
import { Visibility } from "./visibility.ts";

/** The number of changes that a joining client receives between two deliveries. */
const PAGE = 500;
/**
 * The number of pages of joining clients that are computed concurrently. The others wait: after a
 * restart many clients join together, and the store's readers refuse what can't wait there.
 */
export const JOIN_TURNS = { atOnce: 16, perCaller: 4 };

/** The dependencies of a join. */
export interface ReplicaJoinOptions {
  readonly store: Store;
  readonly queue: DeliveryQueue;
  /** In which the pages of all joining clients are computed. */
  readonly turns: FairTurns;
  /** The app's current model. */
  readonly model: () => DataModel;
  readonly now: () => number;
  /** The time limit for one read of a subscriber that catches up, in milliseconds. */
  readonly readTimeoutMs: number;
  /** @returns false, after closing it, if its session has ended or changed */
  readonly mayStay: (subscriber: Subscriber) => Promise<boolean>;
}

/**
 * A client of version 1 that joins: it receives the changes that it has missed, page by page, while
 * the feed goes on, and the last of them exactly between two deliveries.
 */
export class ReplicaJoin {
  readonly #options: ReplicaJoinOptions;
  readonly #subscriber: Subscriber;
  /** Null if the client does not send its position: it receives the most recent changes again. */
  readonly #cursor: Cursor | null;
  /** The position up to which the client is up to date. */
  #reached = 0;
  /**
   * Whether the client received rows in a newer state than the position of the feed: until the feed
   * reaches the position of the store, the versions of rows in the log may be older.
   */
  #isAhead = false;
  /** Whether the client has rows that were read with rights that its cursor does not show. */
  #isUnbound = false;

  constructor(options: ReplicaJoinOptions, subscriber: Subscriber, cursor: Cursor | null) {
    this.#options = options;
    this.#subscriber = subscriber;
    this.#cursor = cursor;
  }

  /**
   * Sends what the client has missed. A client that can't continue loads a new snapshot.
   *
   * @param admit called between two deliveries, when the client is up to date
   */
  async run(admit: () => void): Promise<void> {
    const { queue, turns } = this.#options;
    const subscriber = this.#subscriber;
    // Everything that the client has read, here or from another replica, was committed before this.
    // If the feed were behind that position, rows of the client would go back in time.
    await queue.settle();
    if (!(await this.#canContinue())) {
      subscriber.resync("the replica is too old to continue");
      return;
    }
    this.#reached = this.#cursor?.seq ?? queue.overlapStart;
    while (subscriber.isOpen && this.#reached < queue.computed) {
      await turns.run(this.#share(), async () => {
        const end = queue.computed;
        if (subscriber.isOpen) await this.#send(await this.#page(end), end);
      });
      await subscriber.drained();
    }
    await queue.enqueue(async () => {
      if (this.#isAhead) await queue.deliver();
      this.#isAhead = false;
      const end = queue.computed;
      if (subscriber.isOpen && this.#reached < end)
        await this.#send(
          queue.recentChanges(this.#reached, end) ?? (await queue.changesUpTo(end, this.#reached)),
          end,
        );
      if (this.#cursor !== null && (await this.#permissionsWillChange()))
        subscriber.resync("the caller's permissions changed");
      admit();
    });
  }

  async #canContinue(): Promise<boolean> {
    const cursor = this.#cursor;
    if (cursor === null) return true;
    const { store, model, now } = this.#options;
    const { head, floor, epoch } = await store.bounds();
    this.#isUnbound = cursor.seq > 0 && !isBoundToCaller(cursor.epoch, epoch);
    return (
      isSameEpoch(cursor.epoch, epoch, model(), this.#subscriber.caller, now()) &&
      cursor.seq >= floor &&
      cursor.seq <= head
    );
  }

  async #page(end: number): Promise<readonly ChangeRecord[]> {
    const { store, queue } = this.#options;
    // With all changes up to the position of the feed, no rows need to be read, except for policies
    // that look at other rows: those are cheaper for the rows of a page together.
    const last = this.#visibility().looksAtRights ? Math.min(end, this.#reached + PAGE) : end;
    const recent = queue.recentChanges(this.#reached, last);
    if (recent !== null) return recent;
    const records = await store.changes(this.#reached, Math.min(PAGE, end - this.#reached));
    return records.filter(({ seq }) => seq <= end);
  }

  /**
   * Sends the events of some changes.
   *
   * @param records the changes after those that were sent
   * @param end the current position of the feed
   */
  async #send(records: readonly ChangeRecord[], end: number): Promise<void> {
    const { mayStay } = this.#options;
    const subscriber = this.#subscriber;
    const after = this.#reached;
    const last = records.at(-1);
    this.#reached = last?.seq ?? end;
    if (this.#cursor !== null) {
      const reason =
        records[0]?.seq !== after + 1
          ? "the replica is too old to continue"
          : this.#changesPermissions(records)
            ? "the caller's permissions changed"
            : null;
      if (reason !== null) {
        this.#reached = end;
        subscriber.resync(reason);
        return;
      }
    }
    // Only at the position of the feed no row is ahead of it.
    const isWhole = last === undefined || (last.seq === end && !this.#isAhead);
    const events = await this.#catchUp().events(records, subscriber.caller, isWhole);
    this.#isAhead ||= !isWhole;
    // Checked after the rows were read, because they may have been written after the end of the
    // session.
    if (await mayStay(subscriber))
      for (const event of events) subscriber.send(JSON.stringify(event));
  }

  #changesPermissions(records: readonly ChangeRecord[]): boolean {
    const visibility = this.#visibility();
    const { caller, identity } = this.#subscriber;
    return (
      (this.#isUnbound && endsUnboundCursors(records, identity)) ||
      records.some((record) => visibility.affectsPermissions(record, caller))
    );
  }

  /**
   * Whether changes to the caller's permissions are still to be delivered: the catch-up has already
   * used the current permissions.
   */
  async #permissionsWillChange(): Promise<boolean> {
    const { store, queue } = this.#options;
    if (!this.#visibility().looksAtRights) return false;
    await store.settle();
    return this.#changesPermissions(queue.later().filter(({ seq }) => seq > queue.computed));
  }

  #share(): string {
    const { id, caller } = this.#subscriber;
    return userShare(caller) ?? `connection ${id}`;
  }

  #visibility(): Visibility {
    const { store, model, now } = this.#options;
    return new Visibility(store, model(), now);
  }

  /**
   * The cost of a catch-up depends on the subscriber, so it reads within the subscriber's share.
   */
  #catchUp(): CatchUp {
    const { store, model, now, readTimeoutMs } = this.#options;
    const reader = store.limitedReader({
      caller: this.#share(),
      timeoutMs: readTimeoutMs,
    });
    return new CatchUp(reader, model(), new Visibility(reader, model(), now));
  }
}
