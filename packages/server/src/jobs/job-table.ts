import { sha256 } from "../util/sha256.ts";
import { createIdFactory, PylonError } from "@pylonsync/protocol";
import { and, literal, path, type Expr, type Scalar } from "@pylonsync/query";
import type { ScheduledCall } from "../functions/scheduler.ts";
import type { Platform } from "../platform.ts";
import type {
  Reader,
  RowPlace,
  RowUpdate,
  Store,
  StoredRow,
  Transaction,
  Value,
} from "../store/store.ts";
import { SYSTEM_TABLES, type JobProgress } from "../store/system-tables.ts";
import {
  endOfQueue,
  isoOf,
  laneBounds,
  laneOfReadyKey,
  newRow,
  nextLook,
  queueOfLane,
  readyPatch,
  toJob,
  waitsForBatch,
} from "./job-row.ts";
import { JOB_STATUSES, type Job, type JobStatus, type LeasedJob } from "./job.ts";
import { QueueGate, type QueueSettings } from "./queue-limits.ts";
import { retryDelayMs } from "./retry-delay.ts";
import { settleBatch } from "./settle-batch.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
/** Rows are claimed before they are decided about, and leases are expected of those updated. */
const BY_CLAIM = { isolation: "latest" } as const;
/**
 * For what is no loss: a job whose lease is lost is ready again, and its runner can't end it; the
 * end of a job is never kept without its lease.
 */
const LEASING = { isolation: "latest", mayBeLost: true } as const;
/** Jobs whose time has come that are looked at in one transaction. */
const DUE_BATCH = 500;
/** Most lanes that one take looks into. */
const MAX_LANES = 64;
const OVER: readonly JobStatus[] = ["completed", "dead", "cancelled"];
const LOST = "Its runner was lost while it ran.";

/** Which jobs are listed; those of every kind where nothing is said. */
export interface JobFilter {
  readonly status?: JobStatus | undefined;
  readonly queue?: string | undefined;
}

/** A job that is made now, under an id that it was given before. */
export interface NewJob {
  readonly id: string;
  readonly call: ScheduledCall;
}

/** A row that becomes a runner's. */
interface LeaseOf extends RowUpdate {
  readonly job: LeasedJob;
}

/** What became of an attempt. */
export type AttemptOutcome =
  | { readonly kind: "completed" }
  /**
   * Work of the server that goes on later, as if it had not been tried.
   *
   * @property dueAt milliseconds since 1970; null: when `wakeUp` says so
   */
  | { readonly kind: "again"; readonly dueAt: number | null }
  /** @property isFinal no other attempt can succeed */
  | { readonly kind: "failed"; readonly error: string; readonly isFinal: boolean };

/**
 * The jobs in the store: made in the transaction of whoever wants them, taken by one runner at a
 * time. A runner has a lease, which it renews while it works; when it is lost, the lease runs out
 * and another one takes the job.
 */
export class JobTable {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  /** The lane that was served last: the next take goes on after it. */
  #lastLane = "";
  #queues: QueueSettings = {};
  /** What the last take had to leave because of limits; null: nothing. */
  #held: { readonly opensAt: number | null } | null = null;
  readonly #places = new WeakMap<LeasedJob, RowPlace>();

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
  }

  /** Takes the limits of queues of an app that was loaded. */
  declareQueues(queues: QueueSettings): void {
    this.#queues = queues;
    this.#held = null;
  }

  /**
   * Makes a job within a transaction: it is there if the transaction commits.
   *
   * @returns its id; that of the job with the same dedupe key which still waits or runs, if any
   */
  async add(tx: Transaction, job: ScheduledCall): Promise<string> {
    const now = this.#platform.now();
    if (job.dedupeKey === null) {
      const id = this.#newId();
      await tx.insert(TABLE, newRow(id, job, now));
      return id;
    }
    // The id is made of the key: of two that are made at the same time the store takes one.
    const id = sha256(JSON.stringify([job.queue, job.dedupeKey])).slice(0, 40);
    const known = await tx.get(TABLE, id);
    if (known !== null && !OVER.includes(toJob(known).status)) return id;
    if (known !== null) await tx.delete(TABLE, id);
    try {
      await tx.insert(TABLE, newRow(id, job, now));
    } catch (error) {
      if (!(error instanceof PylonError && error.code === "ID_TAKEN")) throw error;
    }
    return id;
  }

  /** The id of a job that is to be made. */
  newId(): string {
    return this.#newId();
  }

  /** As `add`, for several that have ids and no dedupe keys. */
  async addMany(tx: Transaction, jobs: readonly NewJob[]): Promise<void> {
    const now = this.#platform.now();
    await tx.insertMany(
      TABLE,
      jobs.map(({ id, call }) => newRow(id, call, now)),
    );
  }

  async get(id: string): Promise<Job | null> {
    const row = await this.#store.get(TABLE, id);
    return row === null ? null : toJob(row);
  }

  /** The newest first. */
  async list({ status, queue }: JobFilter, limit: number): Promise<Job[]> {
    const parts = [
      ...(status === undefined ? [] : [compare("==", "status", status)]),
      ...(queue === undefined ? [] : [compare("==", "queue", queue)]),
    ];
    const rows = await this.#store.select({
      entity: TABLE,
      where: and(...parts),
      order: [
        { field: "createdAt", direction: "desc" },
        { field: "id", direction: "desc" },
      ],
      limit,
    });
    return rows.map(toJob);
  }

  /** How many jobs are in each state. */
  async counts(): Promise<Readonly<Record<JobStatus, number>>> {
    const groups = await this.#store.aggregate({
      entity: TABLE,
      groupBy: [{ field: "status", as: "status" }],
      measures: [{ fn: "count", as: "count" }],
    });
    const counts = { pending: 0, running: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
    for (const { status, count } of groups) {
      const known = JOB_STATUSES.find((one) => one === status);
      if (known !== undefined) counts[known] = Number(count);
    }
    return counts;
  }

  /**
   * Takes a job back that is not over. One that runs is aborted by its runner, and what it has not
   * committed yet is undone.
   *
   * @returns whether it was taken back
   */
  async cancel(tx: Transaction, id: string): Promise<boolean> {
    const row = await tx.get(TABLE, id);
    if (row === null || OVER.includes(toJob(row).status)) return false;
    return tx.update(TABLE, id, this.#over("cancelled", null));
  }

  /** Gives a dead or cancelled job all of its attempts again. @returns whether there was one */
  async revive(tx: Transaction, id: string): Promise<boolean> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (job === null || (job.status !== "dead" && job.status !== "cancelled")) return false;
    const now = this.#platform.now();
    return tx.update(TABLE, id, {
      ...(waitsForBatch(job) ? this.#again(now) : readyPatch(job, now)),
      status: "pending",
      attempts: 0,
      finishedAt: null,
      error: null,
    });
  }

  /**
   * When something is to be done next, in milliseconds since 1970; null when nothing waits. What
   * the last take left because of a limit is not counted before a rate allows it.
   */
  async nextDue(): Promise<number | null> {
    const held = this.#held;
    const [ready] = held === null ? await this.#firstReady(this.#store, "") : [];
    if (ready !== undefined) return this.#platform.now();
    const dueAt = await this.#firstDue();
    const opensAt = held?.opensAt ?? null;
    return dueAt === null || opensAt === null ? (dueAt ?? opensAt) : Math.min(dueAt, opensAt);
  }

  /** By its index, however many there are: many may be due at the same time. */
  async #firstDue(): Promise<number | null> {
    const [found] = await this.#store.aggregate({
      entity: TABLE,
      groupBy: [],
      measures: [{ fn: "min", field: "dueAt", as: "dueAt" }],
    });
    const dueAt = found?.["dueAt"];
    return typeof dueAt === "string" ? Date.parse(dueAt) : null;
  }

  /**
   * Makes ready what is due, and takes from lost runners what they had.
   *
   * @param onDead told of each whose last attempt was lost
   * @returns how many
   */
  async settleDue(onDead: (job: Job) => void = () => undefined): Promise<number> {
    const now = this.#platform.now();
    const where = compare("<=", "dueAt", isoOf(now));
    const order = [{ field: "dueAt", direction: "asc" }] as const;
    const first = await this.#firstDue();
    if (first === null || first > now) return 0;
    const due = await this.#store.transact(async (tx) => {
      const rows = await tx.select({
        entity: TABLE,
        where,
        order,
        limit: DUE_BATCH,
        isClaim: true,
      });
      await tx.updateMany(
        TABLE,
        rows.map((row) => ({ id: row.id, patch: this.#due(row, now) })),
      );
      return rows;
    }, LEASING);
    for (const job of due.map(toJob)) {
      if (waitsForBatch(job)) await this.settleBatch(job.id);
      if (job.status !== "running" || job.attempts < job.maxAttempts) continue;
      onDead(job);
      if (job.batchId !== null) await this.settleBatch(job.batchId);
    }
    return due.length;
  }

  /** Makes the job after a batch ready, if the batch is over. @returns whether it did */
  settleBatch(id: string): Promise<boolean> {
    return settleBatch(this.#store, id, this.#platform.now());
  }

  /** What becomes of a job whose time has come. */
  #due(row: StoredRow, now: number): Record<string, Value> {
    const job = toJob(row);
    if (job.status === "running") return this.#lost(job);
    const { status, dueAt, error, batch } = job;
    if (batch !== null && waitsForBatch(job))
      return { ...this.#again(nextLook(Math.max(1, batch.total), now)), status, error };
    return { ...readyPatch(job, dueAt ?? now), status, finishedAt: null, lease: null, error };
  }

  #again(dueAt: number): Record<string, Value> {
    return { dueAt: isoOf(dueAt), readyKey: null, finishedAt: null, lease: null };
  }

  /**
   * Takes back all that runs: for a server that is the only one and has just started, so that
   * whoever ran it is gone.
   */
  async reclaimAll(): Promise<void> {
    const where = compare("==", "status", "running");
    for (let found = DUE_BATCH; found === DUE_BATCH;)
      found = await this.#store.transact(async (tx) => {
        const rows = await tx.select({ entity: TABLE, where, limit: DUE_BATCH, isClaim: true });
        await tx.updateMany(
          TABLE,
          rows.map((row) => ({ id: row.id, patch: this.#lost(toJob(row)) })),
        );
        return rows.length;
      }, BY_CLAIM);
  }

  /**
   * Takes jobs that are ready, of all lanes by turns.
   *
   * @param count most jobs
   * @param leaseMsOf for how long a job is this runner's unless it renews it, in milliseconds
   */
  async take(count: number, leaseMsOf: (job: Job) => number): Promise<LeasedJob[]> {
    if ((await this.#firstReady(this.#store, "")).length === 0) return [];
    return this.#store.transact(async (tx) => {
      const now = this.#platform.now();
      const gate = new QueueGate(this.#queues, tx, now);
      const rows = await this.#takeByTurns(tx, count, gate);
      await gate.save();
      this.#held = gate.isBlocking ? { opensAt: gate.opensAt } : null;
      const leased = rows.map((row): LeaseOf => this.#leaseOf(row, now, leaseMsOf));
      const places = await tx.updateMany(TABLE, leased);
      return leased.map(({ id, job }) => this.#at(job, places.get(id) ?? null));
    }, LEASING);
  }

  #leaseOf(row: StoredRow, now: number, leaseMsOf: (job: Job) => number): LeaseOf {
    const lease = this.#platform.uuid();
    const job = toJob(row);
    const patch = {
      status: "running",
      attempts: job.attempts + 1,
      startedAt: isoOf(now),
      dueAt: isoOf(now + leaseMsOf(job)),
      readyKey: null,
      lease,
      error: null,
      progress: null,
    };
    return { id: row.id, patch, job: { ...toJob({ ...row, ...patch }), lease } };
  }

  #at(job: LeasedJob, place: RowPlace): LeasedJob {
    this.#places.set(job, place);
    return job;
  }

  /** Keeps how far a job is. @returns false when it is no longer this runner's */
  setProgress(job: LeasedJob, progress: JobProgress): Promise<boolean> {
    const patch = { progress: JSON.stringify(progress) };
    return this.#store.transact((tx) => this.#updateHeld(tx, job, patch), LEASING);
  }

  /** @returns the jobs that are no longer this runner's: cancelled, or taken by another */
  async renew(jobs: readonly LeasedJob[], leaseMs: number): Promise<LeasedJob[]> {
    const dueAt = isoOf(this.#platform.now() + leaseMs);
    const updates = jobs.map((job) => ({ job, patch: { dueAt } }));
    const held = await this.#store.transact((tx) => this.#updateAllHeld(tx, updates), LEASING);
    return jobs.filter((job) => !held.has(job));
  }

  /**
   * Says what became of an attempt, within a transaction: that of a mutation, so that its effect
   * and its end are one.
   *
   * @returns false, with nothing written, when the job is no longer this runner's
   */
  finish(tx: Transaction, job: LeasedJob, outcome: AttemptOutcome): Promise<boolean> {
    return this.#updateHeld(tx, job, this.#afterAttempt(job, outcome));
  }

  /**
   * As `finish`, at the end of the transaction, together with other jobs that end in it.
   *
   * @param refuse makes the error that undoes the transaction when the job is no longer this
   *   runner's
   */
  completeAtEnd(tx: Transaction, job: LeasedJob, refuse: () => Error): Promise<void> {
    const patch = this.#afterAttempt(job, { kind: "completed" });
    return tx.updateAtEnd(TABLE, this.#heldUpdate(job, patch), refuse);
  }

  /** As `finish`, for several in a transaction of their own. */
  async finishAll(
    attempts: readonly { readonly job: LeasedJob; readonly outcome: AttemptOutcome }[],
  ): Promise<void> {
    const updates = attempts.map(({ job, outcome }) => ({
      job,
      patch: this.#afterAttempt(job, outcome),
    }));
    await this.#store.transact((tx) => this.#updateAllHeld(tx, updates), BY_CLAIM);
  }

  /** Gives jobs back that were not finished, as if they had not been tried. */
  async release(jobs: readonly LeasedJob[]): Promise<void> {
    const now = this.#platform.now();
    const updates = jobs.map((job) => ({
      job,
      patch: {
        ...readyPatch(job, now),
        status: "pending",
        attempts: job.attempts - 1,
        lease: null,
      },
    }));
    await this.#store.transact((tx) => this.#updateAllHeld(tx, updates), BY_CLAIM);
  }

  /**
   * Deletes jobs that ended before a time, in milliseconds since 1970.
   *
   * @param isInBatch those of batches, too
   * @returns how many
   */
  forget(status: JobStatus, before: number, isInBatch = false): Promise<number> {
    const isOld = compare("<=", "finishedAt", isoOf(before));
    const parts = isInBatch ? [] : [compare("==", "batchId", null)];
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, and(isOld, compare("==", "status", status), ...parts)),
    );
  }

  /**
   * Makes a job ready that waits for its time.
   *
   * @returns what it does now; null when it is over
   */
  async wakeUp(tx: Transaction, id: string): Promise<"ready" | "running" | null> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (row === null || job === null || OVER.includes(job.status)) return null;
    if (job.status === "running") return "running";
    const now = this.#platform.now();
    if (row["readyKey"] === null) await tx.update(TABLE, id, readyPatch(job, now));
    return "ready";
  }

  /**
   * Makes sure within a transaction that a job is this runner's, and renews it: what the
   * transaction writes is not kept when another runner takes the job meanwhile.
   *
   * @returns false when it is no longer this runner's
   */
  hold(tx: Transaction, job: LeasedJob, leaseMs: number): Promise<boolean> {
    return this.#updateHeld(tx, job, { dueAt: isoOf(this.#platform.now() + leaseMs) });
  }

  async #updateHeld(
    tx: Transaction,
    job: LeasedJob,
    patch: Readonly<Record<string, Value>>,
  ): Promise<boolean> {
    return (await this.#updateAllHeld(tx, [{ job, patch }])).has(job);
  }

  /** Updates the jobs whose leases still hold: another runner has one of its own. */
  async #updateAllHeld(
    tx: Transaction,
    updates: readonly { readonly job: LeasedJob; readonly patch: RowUpdate["patch"] }[],
  ): Promise<ReadonlySet<LeasedJob>> {
    const places = await tx.updateMany(
      TABLE,
      updates.map(({ job, patch }) => this.#heldUpdate(job, patch)),
    );
    const held = updates.flatMap(({ job }) => (places.has(job.id) ? [job] : []));
    for (const job of held) this.#places.set(job, places.get(job.id) ?? null);
    return new Set(held);
  }

  #heldUpdate(job: LeasedJob, patch: RowUpdate["patch"]): RowUpdate {
    return { id: job.id, patch, expected: { lease: job.lease }, place: this.#places.get(job) };
  }

  #afterAttempt(job: LeasedJob, outcome: AttemptOutcome): Record<string, Value> {
    const { attempts } = job;
    if (outcome.kind === "completed") return { ...this.#over("completed", null), attempts };
    if (outcome.kind === "again")
      return {
        status: "pending",
        attempts: 0,
        finishedAt: null,
        error: null,
        dueAt: outcome.dueAt === null ? null : isoOf(outcome.dueAt),
        readyKey: null,
        lease: null,
      };
    // What a store can't keep would keep the ends of other jobs from being written too.
    const error = outcome.error.replaceAll("\0", "").toWellFormed();
    if (outcome.isFinal || attempts >= job.maxAttempts)
      return { ...this.#over("dead", error), attempts };
    const delayMs = retryDelayMs(attempts, this.#chance());
    return {
      status: "retrying",
      attempts,
      finishedAt: null,
      error,
      dueAt: isoOf(this.#platform.now() + delayMs),
      readyKey: null,
      lease: null,
    };
  }

  /** What becomes of a job whose runner was lost. */
  #lost(job: Job): Record<string, Value> {
    if (job.attempts >= job.maxAttempts) return this.#over("dead", LOST);
    const ready = readyPatch(job, this.#platform.now());
    return { ...ready, status: "retrying", finishedAt: null, lease: null, error: LOST };
  }

  #over(status: JobStatus, error: string | null): Record<string, Value> {
    const finishedAt = isoOf(this.#platform.now());
    return { status, finishedAt, error, dueAt: null, readyKey: null, lease: null };
  }

  /** One of each lane after the last one that was served, then again, until there are enough. */
  async #takeByTurns(tx: Transaction, count: number, gate: QueueGate): Promise<StoredRow[]> {
    const most = Math.min(count, MAX_LANES);
    const lanes = await this.#lanesAfter(tx, this.#lastLane, most, gate);
    const taken: StoredRow[] = [];
    let open = lanes;
    while (open.length > 0 && taken.length < count) {
      const share = Math.max(1, Math.floor((count - taken.length) / open.length));
      const rest: string[] = [];
      for (const lane of open) {
        if (taken.length === count) break;
        const { ofLane } = await gate.room(lane);
        const limit = Math.min(share, count - taken.length, ofLane);
        if (limit === 0) continue;
        const rows = await this.#readyOf(tx, lane, limit, taken);
        taken.push(...rows);
        gate.took(lane, rows.length);
        this.#lastLane = lane;
        if (rows.length === limit) rest.push(lane);
      }
      open = rest;
    }
    return taken;
  }

  /** The lanes in which a job is ready, from the one after `last` on, and around. */
  async #lanesAfter(
    tx: Transaction,
    last: string,
    count: number,
    gate: QueueGate,
  ): Promise<string[]> {
    const lanes: string[] = [];
    let after = last === "" ? "" : laneBounds(last).to;
    let isAround = last === "";
    while (lanes.length < count) {
      const [row] = await this.#firstReady(tx, after);
      const lane = row === undefined ? undefined : laneOfReadyKey(String(row["readyKey"]));
      if (lane === undefined || lanes.includes(lane)) {
        if (isAround) break;
        isAround = true;
        after = "";
        continue;
      }
      if (isAround && last !== "" && lane > last) break;
      const { ofLane, ofQueue } = await gate.room(lane);
      const queue = queueOfLane(lane);
      const chosen = lanes.filter((one) => queueOfLane(one) === queue).length;
      // What a full queue can't use is left to the queues after it.
      after = chosen >= ofQueue ? endOfQueue(queue) : laneBounds(lane).to;
      if (ofLane > 0 && chosen < ofQueue) lanes.push(lane);
    }
    return lanes;
  }

  #firstReady(reader: Reader, after: string): Promise<StoredRow[]> {
    return reader.select({
      entity: TABLE,
      where: compare(">", "readyKey", after),
      order: [{ field: "readyKey", direction: "asc" }],
      limit: 1,
    });
  }

  #readyOf(
    tx: Transaction,
    lane: string,
    limit: number,
    except: readonly StoredRow[],
  ): Promise<StoredRow[]> {
    const { from, to } = laneBounds(lane);
    // Ready keys are in order, so that what was taken from the lane already is before the rest.
    const last = except.findLast((row) => laneOfReadyKey(String(row["readyKey"])) === lane);
    return tx.select({
      entity: TABLE,
      where: and(
        compare(">", "readyKey", last === undefined ? from : String(last["readyKey"])),
        compare("<", "readyKey", to),
      ),
      order: [{ field: "readyKey", direction: "asc" }],
      limit,
      isClaim: true,
    });
  }

  /** From 0 to 1. */
  #chance(): number {
    const bytes = new Uint8Array(1);
    this.#platform.random(bytes);
    return (bytes[0] ?? 0) / 255;
  }
}

function compare(op: "==" | "<" | "<=" | ">", field: string, value: Scalar): Expr {
  return { kind: "compare", op, left: path("data", field), right: literal(value) };
}
