import { createIdFactory, PylonError } from "@pylonsync/protocol";
import { and } from "@pylonsync/query";
import type { ScheduledCall } from "../functions/scheduler.ts";
import type { Platform } from "../platform.ts";
import type { Store, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES, type JobProgress } from "../store/system-tables.ts";
import { sha256 } from "../util/sha256.ts";
import { compare } from "./compare.ts";
import { JobChanges, type AttemptOutcome } from "./job-changes.ts";
import { JobLeases } from "./job-leases.ts";
import { countJobs, listJobs, type JobFilter } from "./job-list.ts";
import { isoOf, newRow, readyPatch, toJob, waitsForBatch } from "./job-row.ts";
import { hasSecretArgs, type Job, type JobStatus, type LeasedJob } from "./job.ts";
import { firstReady, LaneTurns } from "./lane-turns.ts";
import { QueueGate, type QueueSettings } from "./queue-limits.ts";
import { settleBatch } from "./settle-batch.ts";
import { updateRows } from "./update-rows.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
/** Rows are claimed before they are decided about, and leases are expected of those updated. */
const BY_CLAIM = { isolation: "latest" } as const;
/**
 * For what is not a loss: a job whose lease is lost is ready again, and its runner can't end it;
 * the end of a job is never kept without its lease.
 */
const LEASING = { isolation: "latest", mayBeLost: true } as const;
/** Jobs whose time has come that are looked at in one transaction. */
const DUE_BATCH = 500;
const BY_DUE = [{ field: "dueAt", direction: "asc" }] as const;
const OVER: readonly JobStatus[] = ["completed", "dead", "cancelled"];

/** A runner whose clock may have jumped, so that leases seem to be over which it still has. */
export interface LeaseHolder {
  /** Whether it runs the job, under the lease that the job has. */
  readonly runs: (job: Job) => boolean;
  /** For how long a job is its own unless it is renewed, in milliseconds. */
  readonly leaseMsOf: (job: Job) => number;
}

const NO_HOLDER: LeaseHolder = { runs: () => false, leaseMsOf: () => 0 };

/** A job that is made now, under an id that it was given before. */
export interface NewJob {
  readonly id: string;
  readonly call: ScheduledCall;
}

/**
 * The jobs in the store: made in the transaction of the caller that wants them, taken by one runner
 * at a time. A runner has a lease, which it renews while it works; when it is lost, the lease runs
 * out and another one takes the job.
 */
export class JobTable {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #turns = new LaneTurns();
  #queues: QueueSettings = {};
  /** What the last take had to leave because of limits; null: nothing. */
  #held: { readonly opensAt: number | null } | null = null;
  #isMoreLikely = false;
  readonly #changes: JobChanges;
  readonly #leases: JobLeases;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
    this.#changes = new JobChanges(platform);
    this.#leases = new JobLeases(platform);
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
  list(filter: JobFilter, limit: number): Promise<Job[]> {
    return listJobs(this.#store, filter, limit);
  }

  /** How many jobs are in each state. */
  counts(): Promise<Readonly<Record<JobStatus, number>>> {
    return countJobs(this.#store);
  }

  /**
   * Takes a job back that is not over. One that runs is aborted by its runner, and what it has not
   * committed yet is undone.
   *
   * @returns whether it was taken back
   */
  async cancel(tx: Transaction, id: string): Promise<boolean> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (job === null || OVER.includes(job.status)) return false;
    return tx.update(TABLE, id, this.#changes.over(job, "cancelled", null));
  }

  /**
   * Gives a dead or cancelled job all of its attempts again; none whose arguments were erased.
   *
   * @returns whether there was one
   */
  async revive(tx: Transaction, id: string): Promise<boolean> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (job === null || (job.status !== "dead" && job.status !== "cancelled")) return false;
    if (hasSecretArgs(job)) return false;
    const now = this.#platform.now();
    return tx.update(TABLE, id, {
      ...(waitsForBatch(job) ? this.#changes.lookAgain(now) : readyPatch(job, now)),
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
    const [ready] = held === null ? await firstReady(this.#store, "") : [];
    if (ready !== undefined) return this.#platform.now();
    const dueAt = await this.#firstDue();
    const opensAt = held?.opensAt ?? null;
    return dueAt === null || opensAt === null ? (dueAt ?? opensAt) : Math.min(dueAt, opensAt);
  }

  /** By its index, however many there are: many may be due at the same time. */
  async #firstDue(): Promise<number | null> {
    const [first] = await this.#store.select({
      entity: TABLE,
      where: compare(">", "dueAt", isoOf(0)),
      order: [...BY_DUE, { field: "id", direction: "asc" }],
      limit: 1,
    });
    const dueAt = first?.["dueAt"];
    return typeof dueAt === "string" ? Date.parse(dueAt) : null;
  }

  /**
   * Makes ready what is due, and takes from lost runners what they had.
   *
   * @param onDead told of each whose last attempt was lost
   * @param own the runner that asks: what it still runs is renewed
   * @returns how many
   */
  async settleDue(
    onDead: (job: Job) => void = () => undefined,
    own: LeaseHolder = NO_HOLDER,
  ): Promise<number> {
    const now = this.#platform.now();
    const where = compare("<=", "dueAt", isoOf(now));
    const first = await this.#firstDue();
    if (first === null || first > now) return 0;
    const due = await this.#store.transact(async (tx) => {
      const rows = await tx.select({
        entity: TABLE,
        where,
        order: BY_DUE,
        limit: DUE_BATCH,
        isClaim: true,
      });
      await updateRows(
        tx,
        rows.map((row) => {
          const job = toJob(row);
          const patch = own.runs(job)
            ? { dueAt: isoOf(now + own.leaseMsOf(job)) }
            : this.#changes.due(job, now);
          return { id: row.id, patch };
        }),
      );
      return rows;
    }, LEASING);
    for (const job of due.map(toJob)) {
      if (own.runs(job)) continue;
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

  /**
   * Takes back all that runs: for a server that is the only one and has just started, so that
   * the one that ran it is gone.
   */
  async reclaimAll(): Promise<void> {
    const where = compare("==", "status", "running");
    for (let found = DUE_BATCH; found === DUE_BATCH;)
      found = await this.#store.transact(async (tx) => {
        const rows = await tx.select({ entity: TABLE, where, limit: DUE_BATCH, isClaim: true });
        await updateRows(
          tx,
          rows.map((row) => ({ id: row.id, patch: this.#changes.lost(toJob(row)) })),
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
    // Where the last take found all that it wanted, there is probably more.
    if (!this.#isMoreLikely && (await firstReady(this.#store, "")).length === 0) return [];
    const taken = await this.#store.transact(async (tx) => {
      const now = this.#platform.now();
      const gate = new QueueGate(this.#queues, tx, now);
      const rows = await this.#turns.take(tx, count, gate);
      await gate.save();
      this.#held = gate.isBlocking ? { opensAt: gate.opensAt } : null;
      return this.#leases.give(tx, rows, leaseMsOf);
    }, LEASING);
    this.#isMoreLikely = taken.length === count;
    return taken;
  }

  /** Keeps how far a job is. @returns false when it is no longer this runner's */
  setProgress(job: LeasedJob, progress: JobProgress): Promise<boolean> {
    const patch = { progress: JSON.stringify(progress) };
    return this.#store.transact((tx) => this.#leases.update(tx, job, patch), LEASING);
  }

  /** @returns the jobs that are no longer this runner's: cancelled, or taken by another */
  async renew(jobs: readonly LeasedJob[], leaseMs: number): Promise<LeasedJob[]> {
    const dueAt = isoOf(this.#platform.now() + leaseMs);
    const updates = jobs.map((job) => ({ job, patch: { dueAt } }));
    const held = await this.#store.transact((tx) => this.#leases.updateAll(tx, updates), LEASING);
    return jobs.filter((job) => !held.has(job));
  }

  /**
   * Says what became of an attempt, within a transaction: that of a mutation, so that its effect
   * and its end are one.
   *
   * @returns false, with nothing written, when the job is no longer this runner's
   */
  finish(tx: Transaction, job: LeasedJob, outcome: AttemptOutcome): Promise<boolean> {
    return this.#leases.update(tx, job, this.#changes.afterAttempt(job, outcome));
  }

  /**
   * As `finish`, at the end of the transaction, together with other jobs that end in it.
   *
   * @param refuse makes the error that undoes the transaction when the job is no longer this
   *   runner's
   */
  completeAtEnd(tx: Transaction, job: LeasedJob, refuse: () => Error): Promise<void> {
    const patch = this.#changes.afterAttempt(job, { kind: "completed" });
    return tx.updateAtEnd(TABLE, this.#leases.heldUpdate(job, patch), refuse);
  }

  /** As `finish`, for several in a transaction of their own. */
  async finishAll(
    attempts: readonly { readonly job: LeasedJob; readonly outcome: AttemptOutcome }[],
  ): Promise<void> {
    const updates = attempts.map(({ job, outcome }) => ({
      job,
      patch: this.#changes.afterAttempt(job, outcome),
    }));
    await this.#store.transact((tx) => this.#leases.updateAll(tx, updates), BY_CLAIM);
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
    await this.#store.transact((tx) => this.#leases.updateAll(tx, updates), BY_CLAIM);
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
    return this.#leases.update(tx, job, { dueAt: isoOf(this.#platform.now() + leaseMs) });
  }
}
