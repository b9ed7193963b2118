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
import { firstReady, LaneRotation } from "./lane-rotation.ts";
import { QueueGate, type QueueSettings } from "./queue-limits.ts";
import { restartWaits } from "./restart-waits.ts";
import { settleBatch } from "./settle-batch.ts";
import { updateRows } from "./update-rows.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
/**
 * Rows are claimed before they determine anything, and rows that are updated must have the expected
 * lease.
 */
const BY_CLAIM = { isolation: "latest" } as const;
/**
 * For changes that may be lost: a job whose lease is lost becomes ready again, and its runner can't
 * end it; the end of a job is never stored without its lease.
 */
const LEASING = { isolation: "latest", mayBeLost: true } as const;
/** The maximum number of due jobs that one transaction changes. */
const DUE_BATCH = 500;
const BY_DUE = [{ field: "dueAt", direction: "asc" }] as const;
const FINISHED: readonly JobStatus[] = ["completed", "dead", "cancelled"];

/**
 * A runner whose clock may have jumped, so that leases that it still holds seem to have expired.
 */
export interface LeaseHolder {
  /** Whether it runs the job, under the job's current lease. */
  readonly runs: (job: Job) => boolean;
  /** The duration of a job's lease unless it is renewed, in milliseconds. */
  readonly leaseMsOf: (job: Job) => number;
}

const NO_HOLDER: LeaseHolder = { runs: () => false, leaseMsOf: () => 0 };

/** A new job, with an id that it was given before. */
export interface NewJob {
  readonly id: string;
  readonly call: ScheduledCall;
}

/**
 * The jobs in the store. They are created in the transaction of the caller, and taken by one runner
 * at a time. A runner has a lease, which it renews while it works; if the runner is lost, the lease
 * expires and another runner takes the job.
 */
export class JobTable {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #lanes = new LaneRotation();
  #queues: QueueSettings = {};
  /**
   * Set if limits prevented the last take from taking more jobs: when a rate allows more, if it was
   * a rate.
   */
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

  /** Replaces the limits of queues with those of an app that was loaded. */
  declareQueues(queues: QueueSettings): void {
    this.#queues = queues;
    this.#held = null;
  }

  /**
   * Creates a job within a transaction: it exists if the transaction commits.
   *
   * @returns its id, or that of the job with the same dedupe key that still waits or runs
   */
  async add(tx: Transaction, job: ScheduledCall): Promise<string> {
    const now = this.#platform.now();
    if (job.dedupeKey === null) {
      const id = this.#newId();
      await tx.insert(TABLE, newRow(id, job, now));
      return id;
    }
    // The id is derived from the key: if two are inserted at the same time, the store accepts one.
    const id = sha256(JSON.stringify([job.queue, job.dedupeKey])).slice(0, 40);
    const known = await tx.get(TABLE, id);
    if (known !== null && !FINISHED.includes(toJob(known).status)) return id;
    if (known !== null) await tx.delete(TABLE, id);
    try {
      await tx.insert(TABLE, newRow(id, job, now));
    } catch (error) {
      if (!(error instanceof PylonError && error.code === "ID_TAKEN")) throw error;
    }
    return id;
  }

  /** Returns an id for a new job. */
  newId(): string {
    return this.#newId();
  }

  /** Like `add`, for several jobs that have ids and no dedupe keys. */
  async addMany(tx: Transaction, jobs: readonly NewJob[]): Promise<void> {
    const now = this.#platform.now();
    for (const { id, call } of jobs) await tx.insertNew(TABLE, newRow(id, call, now));
  }

  async get(id: string): Promise<Job | null> {
    const row = await this.#store.get(TABLE, id);
    return row === null ? null : toJob(row);
  }

  /** Returns jobs, the newest first. */
  list(filter: JobFilter, limit: number): Promise<Job[]> {
    return listJobs(this.#store, filter, limit);
  }

  /** Returns the number of jobs in each state. */
  counts(): Promise<Readonly<Record<JobStatus, number>>> {
    return countJobs(this.#store);
  }

  /**
   * Cancels a job that has not ended. If it runs, its runner aborts it, and what it has not
   * committed yet is rolled back.
   *
   * @returns whether it was cancelled
   */
  async cancel(tx: Transaction, id: string): Promise<boolean> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (job === null || FINISHED.includes(job.status)) return false;
    return tx.update(TABLE, id, this.#changes.over(job, "cancelled", null));
  }

  /**
   * Makes a dead or cancelled job ready, with all of its attempts. A job whose arguments were
   * erased can't be revived.
   *
   * @returns whether the job was revived
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
   * Returns when the next job needs work, in milliseconds since 1970; null if none waits. Jobs that
   * the last take could not take because of a limit count only once a rate allows them.
   */
  async nextDue(): Promise<number | null> {
    const held = this.#held;
    const [ready] = held === null ? await firstReady(this.#store, "") : [];
    if (ready !== undefined) return this.#platform.now();
    const dueAt = await this.#firstDue();
    const opensAt = held?.opensAt ?? null;
    return dueAt === null || opensAt === null ? (dueAt ?? opensAt) : Math.min(dueAt, opensAt);
  }

  /** Uses the index of `dueAt`, and reads one row even if many jobs are due at the same time. */
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
   * Makes due jobs ready, and takes the jobs of lost runners from them.
   *
   * @param onDead called with each job whose last attempt was lost
   * @param own the calling runner: the jobs that it still runs are renewed
   * @returns the number of due jobs
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

  /** Corrects the jobs if the clock was set back. @param leaseMsOf as in `take` */
  clockSetBack(leaseMsOf: (job: Job) => number): Promise<void> {
    return restartWaits(this.#store, this.#platform.now(), leaseMsOf);
  }

  /** Makes the job after a batch ready if the batch has ended. @returns whether it did */
  settleBatch(id: string): Promise<boolean> {
    return settleBatch(this.#store, id, this.#platform.now());
  }

  /**
   * Takes all running jobs back: for a server that is the only one and has just started, so that
   * the server that ran them is gone.
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
   * Takes ready jobs from all lanes in turn.
   *
   * @param count the maximum number of jobs
   * @param leaseMsOf the duration of a job's lease unless it is renewed, in milliseconds
   */
  async take(count: number, leaseMsOf: (job: Job) => number): Promise<LeasedJob[]> {
    // If the last take found as many jobs as it wanted, there are probably more.
    if (!this.#isMoreLikely && (await firstReady(this.#store, "")).length === 0) return [];
    const taken = await this.#store.transact(async (tx) => {
      const now = this.#platform.now();
      const gate = new QueueGate(this.#queues, tx, now);
      const rows = await this.#lanes.take(tx, count, gate);
      await gate.save();
      this.#held = gate.isBlocking ? { opensAt: gate.opensAt } : null;
      return this.#leases.give(tx, rows, leaseMsOf);
    }, LEASING);
    this.#isMoreLikely = taken.length === count;
    return taken;
  }

  /** Stores the progress of a job. @returns false if it is no longer this runner's */
  setProgress(job: LeasedJob, progress: JobProgress): Promise<boolean> {
    const patch = { progress: JSON.stringify(progress) };
    return this.#store.transact((tx) => this.#leases.update(tx, job, patch), LEASING);
  }

  /**
   * Renews the leases of jobs.
   *
   * @param leaseMs the duration of the new leases, in milliseconds
   * @returns the jobs that are no longer this runner's: cancelled, or taken by another
   */
  async renew(jobs: readonly LeasedJob[], leaseMs: number): Promise<LeasedJob[]> {
    const dueAt = isoOf(this.#platform.now() + leaseMs);
    const updates = jobs.map((job) => ({ job, patch: { dueAt } }));
    const held = await this.#store.transact((tx) => this.#leases.updateAll(tx, updates), LEASING);
    return jobs.filter((job) => !held.has(job));
  }

  /**
   * Stores the outcome of an attempt within a transaction: that of a mutation, so that its effect
   * and its end are atomic.
   *
   * @returns false, with nothing written, if the job is no longer this runner's
   */
  finish(tx: Transaction, job: LeasedJob, outcome: AttemptOutcome): Promise<boolean> {
    return this.#leases.update(tx, job, this.#changes.afterAttempt(job, outcome));
  }

  /**
   * Completes a job at the end of the transaction, together with other jobs that end in it.
   *
   * @param refuse creates the error that rolls the transaction back if the job is no longer this
   *   runner's
   */
  completeAtEnd(tx: Transaction, job: LeasedJob, refuse: () => Error): Promise<void> {
    const patch = this.#changes.afterAttempt(job, { kind: "completed" });
    return tx.updateAtEnd(TABLE, this.#leases.heldUpdate(job, patch), refuse);
  }

  /** Like `finish`, for several jobs in a transaction of their own. */
  async finishAll(
    attempts: readonly { readonly job: LeasedJob; readonly outcome: AttemptOutcome }[],
  ): Promise<void> {
    const updates = attempts.map(({ job, outcome }) => ({
      job,
      patch: this.#changes.afterAttempt(job, outcome),
    }));
    await this.#store.transact((tx) => this.#leases.updateAll(tx, updates), BY_CLAIM);
  }

  /** Returns jobs that were not finished to the queue; the attempts do not count. */
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
   * @param isInBatch whether to include jobs of batches
   * @returns the number of deleted jobs
   */
  forget(status: JobStatus, before: number, isInBatch = false): Promise<number> {
    const isOld = compare("<=", "finishedAt", isoOf(before));
    const parts = isInBatch ? [] : [compare("==", "batchId", null)];
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, and(isOld, compare("==", "status", status), ...parts)),
    );
  }

  /**
   * Makes a waiting job ready.
   *
   * @returns its state; null if it has ended
   */
  async wakeUp(tx: Transaction, id: string): Promise<"ready" | "running" | null> {
    const row = await tx.get(TABLE, id);
    const job = row === null ? null : toJob(row);
    if (row === null || job === null || FINISHED.includes(job.status)) return null;
    if (job.status === "running") return "running";
    const now = this.#platform.now();
    if (row["readyKey"] === null) await tx.update(TABLE, id, readyPatch(job, now));
    return "ready";
  }

  /**
   * Renews the lease of a job within a transaction, if the job is this runner's: the transaction is
   * rolled back if another runner takes the job in the meantime.
   *
   * @param leaseMs the duration of the new lease, in milliseconds
   * @returns false if the job is no longer this runner's
   */
  hold(tx: Transaction, job: LeasedJob, leaseMs: number): Promise<boolean> {
    return this.#leases.update(tx, job, { dueAt: isoOf(this.#platform.now() + leaseMs) });
  }
}
