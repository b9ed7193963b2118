import type { Platform } from "../platform.ts";
import { runIn } from "../observe/operation.ts";
import type { ChangeRecord, Store } from "../store/store.ts";
import { rowSize } from "../store/row-size.ts";
import { PendingChanges } from "./pending-changes.ts";
import { RecentChanges } from "./recent-changes.ts";

/**
 * The age of the changes that a client without a cursor receives again, in milliseconds: they may
 * have been made between its pull and the opening of its socket.
 */
const OVERLAP_MS = 5_000;
const OVERLAP_CHANGES = 1_000;
/** The maximum size of the rows of the newest changes that are held for joining clients. */
const RECENT_BYTES = 8 * 1024 * 1024;
/**
 * A delivery that takes no longer than this, in milliseconds, does not noticeably delay the
 * responses to the writers, so that it need not wait for them.
 */
const QUICK_MS = 1;

/** The feed's part of a delivery. */
export interface DeliverySteps {
  /** The number of open connections. Without any, changes are skipped. */
  connections(): number;
  /** Computes the effects of a change. */
  compute(record: ChangeRecord): Promise<void>;
  /** Called instead of `compute` if there are no connections. */
  skip(record: ChangeRecord): void;
  /** Sends the effects of a transaction. @param position the number of its last change */
  send(position: number): Promise<void>;
  /** Called after the last of the waiting transactions. */
  finished(): void;
  /** A change was sent to all clients that may read it. @param at when it was written */
  delivered(at: number): void;
  /** A step failed: each connection may have missed a change. */
  failed(error: unknown): void;
  /** Runs a delivery. */
  traced(changes: number, connections: number, deliver: () => Promise<void>): Promise<void>;
}

/**
 * Takes the committed changes of the store in the order of its log, and delivers them transaction
 * by transaction.
 *
 * All steps run one after another, also those of others (`enqueue`), so that these run exactly
 * between two transactions.
 */
export class DeliveryQueue {
  readonly #store: Store;
  readonly #platform: Pick<Platform, "now" | "soon" | "monotonic">;
  readonly #steps: DeliverySteps;
  readonly #pending = new PendingChanges();
  readonly #recent = new RecentChanges(OVERLAP_CHANGES, RECENT_BYTES);
  /** Resolves when the last step of the queue is done. */
  #last: Promise<unknown> = Promise.resolve();
  #isScheduled = false;
  /** The duration of the last delivery, in milliseconds. */
  #tookMs = 0;
  #computed = 0;
  #sent = 0;
  #epoch = "";
  #unfollow: () => void = () => undefined;

  constructor(
    store: Store,
    platform: Pick<Platform, "now" | "soon" | "monotonic">,
    steps: DeliverySteps,
  ) {
    this.#store = store;
    this.#platform = platform;
    this.#steps = steps;
  }

  /** The number of the last change whose effects are known; they may still have to be sent. */
  get computed(): number {
    return this.#computed;
  }

  /** The number of the last change that was sent. */
  get position(): number {
    return this.#sent;
  }

  /** The epoch of the store's log. */
  get epoch(): string {
    return this.#epoch;
  }

  /** The age of the oldest undelivered change, in milliseconds. */
  get waitingMs(): number {
    const { oldest } = this.#pending;
    return oldest === undefined ? 0 : this.#platform.now() - oldest.at;
  }

  async start(): Promise<void> {
    // The log is followed before its position is read, so that no change in between is missed.
    this.#unfollow = this.#store.follow((changes) => {
      this.#pending.push(changes);
      this.#schedule();
    });
    const { head, epoch } = await this.#store.bounds();
    for (const record of await this.changesUpTo(head, Math.max(0, head - OVERLAP_CHANGES)))
      this.#recent.add(record);
    this.#computed = Math.max(this.#computed, head);
    this.#sent = this.#computed;
    this.#epoch = epoch;
  }

  stop(): void {
    this.#unfollow();
  }

  /** The committed changes that have not been delivered yet, oldest first. */
  later(): readonly ChangeRecord[] {
    return this.#pending.all();
  }

  /** Runs a step exclusively between two deliveries. */
  enqueue<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all changes committed before the call have been delivered. */
  async settle(): Promise<void> {
    await this.#store.settle();
    await this.enqueue(() => this.#deliverPending());
  }

  /** For use in a step: delivers everything that was committed before the call. */
  async deliver(): Promise<void> {
    await this.#store.settle();
    await this.#deliverPending();
  }

  /**
   * All changes after one up to another; null if the log no longer contains some, or if their rows
   * are larger than `maxBytes`.
   */
  async changes(
    after: number,
    end: number,
    maxBytes: number,
  ): Promise<readonly ChangeRecord[] | null> {
    const records = await this.changesUpTo(end, after, maxBytes);
    if (after < end && (records[0]?.seq !== after + 1 || records.at(-1)?.seq !== end)) return null;
    return records;
  }

  /** All changes after one up to another, if they are held in memory; null otherwise. */
  recentChanges(after: number, end: number): readonly ChangeRecord[] | null {
    return this.#recent.between(after, end);
  }

  /**
   * Reads the changes after `after` up to `end` that the log still contains. The store may return
   * fewer per page if they are large.
   *
   * @param maxBytes reads no further when the rows that changed have reached this size
   */
  async changesUpTo(end: number, after: number, maxBytes = Infinity): Promise<ChangeRecord[]> {
    const records: ChangeRecord[] = [];
    let bytes = 0;
    for (let last = after; last < end && bytes < maxBytes;) {
      const page = await this.#store.changes(last, end - last);
      if (page.length === 0) break;
      for (const record of page) {
        if (record.seq > end) continue;
        records.push(record);
        if (maxBytes !== Infinity && record.after !== null) bytes += rowSize(record.after);
      }
      last = page.at(-1)?.seq ?? end;
    }
    return records;
  }

  /** The position from which a client without a cursor receives the most recent changes again. */
  get overlapStart(): number {
    const first = this.#recent.firstSince(this.#platform.now() - OVERLAP_MS);
    return first === undefined ? this.#computed : first - 1;
  }

  /**
   * Delivers in this turn of the event loop, once the followers have all transactions of the
   * commit. If that takes long, the writers that wait for the commit are answered first.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const deliver = (): void => void this.enqueue(() => this.#deliverPending());
    runIn(undefined, this.#tookMs <= QUICK_MS ? deliver : () => this.#platform.soon(deliver));
  }

  async #deliverPending(): Promise<void> {
    this.#isScheduled = false;
    const { size } = this.#pending;
    if (size === 0) return;
    const connections = this.#steps.connections();
    if (connections === 0) return this.#deliverTransactions(size);
    const started = this.#platform.monotonic();
    await this.#steps.traced(size, connections, () => this.#deliverTransactions(size));
    this.#tookMs = this.#platform.monotonic() - started;
  }

  /** @param count the number of changes, the last of which ends a transaction */
  async #deliverTransactions(count: number): Promise<void> {
    for (let taken = 0; taken < count;) {
      const size = this.#pending.nextTransaction();
      if (size === 0) break;
      taken += size;
      await this.#deliverTransaction(size);
    }
    this.#steps.finished();
  }

  async #deliverTransaction(size: number): Promise<void> {
    const times: number[] = [];
    for (let index = 0; index < size; index += 1) {
      const record = this.#pending.take();
      if (record === undefined || record.seq <= this.#computed) continue;
      if (this.#steps.connections() === 0) this.#steps.skip(record);
      else
        try {
          await this.#steps.compute(record);
          times.push(record.at);
        } catch (error) {
          this.#steps.failed(error);
        }
      this.#computed = record.seq;
      this.#recent.add(record);
    }
    try {
      if (times.length > 0) await this.#steps.send(this.#computed);
    } catch (error) {
      this.#steps.failed(error);
    }
    this.#sent = this.#computed;
    for (const at of times) this.#steps.delivered(at);
  }
}
