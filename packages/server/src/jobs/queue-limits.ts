import { PylonError } from "@pylonsync/protocol";
import type { ManifestQueue } from "@pylonsync/sdk";
import { and, literal, path, type Expr } from "@pylonsync/query";
import type { Transaction } from "../store/store.ts";
import type { RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { queueOfLane } from "./job-row.ts";

const QUEUES = SYSTEM_TABLES.queues;
const JOBS = SYSTEM_TABLES.jobs;

/** The limits of queues by their names. */
export type QueueSettings = Readonly<Record<string, ManifestQueue>>;

type QueueRow = RowOf<typeof QUEUES>;

/** The state of a queue with limits. */
interface QueueState {
  readonly settings: ManifestQueue;
  readonly runningByLane: Map<string, number>;
  /** The start times of jobs within the window of the rate, the oldest first. */
  readonly startedAt: number[];
  readonly takes: number;
  running: number;
  taken: number;
}

/**
 * Limits the number of jobs that one take may take from each lane. The row of a queue with limits
 * is locked until the end of the transaction, so that two replicas never take jobs based on the
 * same count.
 */
export class QueueGate {
  readonly #settings: QueueSettings;
  readonly #tx: Transaction;
  readonly #now: number;
  /** The states by queue; null: another replica is taking jobs from it. */
  readonly #states = new Map<string, QueueState | null>();
  #isBlocking = false;
  #opensAt: number | null = null;

  /** @param now milliseconds since 1970 */
  constructor(settings: QueueSettings, tx: Transaction, now: number) {
    this.#settings = settings;
    this.#tx = tx;
    this.#now = now;
  }

  /** Whether a limit prevented jobs from being taken. */
  get isBlocking(): boolean {
    return this.#isBlocking;
  }

  /**
   * When the first exceeded rate allows more jobs, in milliseconds since 1970; null if no rate is
   * exceeded.
   */
  get opensAt(): number | null {
    return this.#opensAt;
  }

  /** Returns how many jobs may be taken from a lane, and from its whole queue. */
  async room(lane: string): Promise<{ readonly ofLane: number; readonly ofQueue: number }> {
    const queue = queueOfLane(lane);
    const settings = Object.hasOwn(this.#settings, queue) ? this.#settings[queue] : undefined;
    if (settings === undefined) return { ofLane: Infinity, ofQueue: Infinity };
    let state = this.#states.get(queue);
    if (state === undefined) {
      state = await this.#open(queue, settings);
      this.#states.set(queue, state);
    }
    const ofQueue = state === null ? 0 : this.#roomOfQueue(state);
    const perKey = settings.perKey?.concurrency ?? Infinity;
    const ofLane = Math.min(ofQueue, perKey - (state?.runningByLane.get(lane) ?? 0));
    if (ofLane <= 0) this.#isBlocking = true;
    return { ofLane: Math.max(0, ofLane), ofQueue };
  }

  /** Counts jobs of a lane as running. */
  took(lane: string, count: number): void {
    const state = this.#states.get(queueOfLane(lane));
    if (state === undefined || state === null) return;
    state.running += count;
    state.taken += count;
    state.runningByLane.set(lane, (state.runningByLane.get(lane) ?? 0) + count);
    if (state.settings.rate === undefined) return;
    for (let index = 0; index < count; index += 1) state.startedAt.push(this.#now);
  }

  /** Writes the number of jobs that were taken. */
  async save(): Promise<void> {
    for (const [queue, state] of this.#states)
      if (state !== null && state.taken > 0)
        await QUEUES.update(this.#tx, queue, {
          takes: state.takes + 1,
          startedAt: state.startedAt,
        });
  }

  #roomOfQueue({ settings, running, startedAt }: QueueState): number {
    const { concurrency = Infinity, rate } = settings;
    const ofRate = rate === undefined ? Infinity : rate.max - startedAt.length;
    if (rate !== undefined && ofRate <= 0) {
      const first = startedAt[startedAt.length - rate.max] ?? this.#now;
      const opensAt = first + rate.perSeconds * 1000;
      this.#opensAt = Math.min(this.#opensAt ?? opensAt, opensAt);
    }
    return Math.max(0, Math.min(concurrency - running, ofRate));
  }

  /** @returns null if another replica has locked it */
  async #open(queue: string, settings: ManifestQueue): Promise<QueueState | null> {
    const isNew = (await QUEUES.get(this.#tx, queue)) === null;
    const known = isNew ? await this.#create(queue) : await this.#hold(queue);
    if (known === null) return null;
    const runningByLane = await this.#runningByLane(queue);
    const since = this.#now - (settings.rate?.perSeconds ?? 0) * 1000;
    return {
      settings,
      runningByLane,
      running: [...runningByLane.values()].reduce((sum, count) => sum + count, 0),
      // A time in the future is from before the clock was set back.
      startedAt: known.startedAt.map((at) => Math.min(at, this.#now)).filter((at) => at > since),
      takes: known.takes,
      taken: 0,
    };
  }

  /** @returns null if another replica created it first */
  async #create(queue: string): Promise<QueueRow | null> {
    const row = { id: queue, takes: 0, startedAt: [] };
    try {
      await QUEUES.insert(this.#tx, row);
      return row;
    } catch (error) {
      if (error instanceof PylonError && error.code === "ID_TAKEN") return null;
      throw error;
    }
  }

  /** Values that were read before the row was locked may predate another replica's take. */
  async #hold(queue: string): Promise<QueueRow | null> {
    const where = QUEUES.is("id", queue);
    const [row] = await QUEUES.select(this.#tx, { where, isClaim: true });
    return row ?? null;
  }

  async #runningByLane(queue: string): Promise<Map<string, number>> {
    const groups = await this.#tx.aggregate({
      entity: JOBS.name,
      where: and(equals("status", "running"), equals("queue", queue)),
      groupBy: [{ field: "laneKey", as: "lane" }],
      measures: [{ fn: "count", as: "count" }],
    });
    return new Map(groups.map(({ lane, count }) => [String(lane), Number(count)]));
  }
}

function equals(field: string, value: string): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(value) };
}
