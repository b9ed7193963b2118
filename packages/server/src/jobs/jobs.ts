import type { Manifest } from "@pylonsync/sdk";
import type { JobQueue, ScheduledCall } from "../functions/scheduler.ts";
import type { Platform } from "../platform.ts";
import type { Store, Transaction } from "../store/store.ts";
import { Crons } from "./crons.ts";
import { DatabaseClock } from "./database-clock.ts";
import type { Job, JobStatus } from "./job.ts";
import { JobRunner, type JobRunnerServices } from "./runner/job-runner.ts";
import type { JobFilter } from "./job-list.ts";
import { JobTable, type NewJob } from "./job-table.ts";

const HOUR_MS = 60 * 60_000;
/** How long a job is kept after its end, in milliseconds. Dead jobs are kept longer, to be seen. */
const KEPT_MS = [
  { status: "completed", keptMs: 24 * HOUR_MS, isInBatch: true },
  { status: "cancelled", keptMs: 24 * HOUR_MS, isInBatch: false },
  // The job after a batch receives the number of jobs that were cancelled.
  { status: "cancelled", keptMs: 30 * 24 * HOUR_MS, isInBatch: true },
  { status: "dead", keptMs: 30 * 24 * HOUR_MS, isInBatch: true },
] as const satisfies readonly { status: JobStatus; keptMs: number; isInBatch: boolean }[];

/** The job queue: jobs are in the store, and any replica can run them. */
export class Jobs implements JobQueue {
  readonly #store: Store;
  readonly #table: JobTable;
  readonly #clock: DatabaseClock;
  /** The platform of the server, with the clock of jobs. */
  readonly platform: Platform;
  readonly crons: Crons;
  #runner: JobRunner | null = null;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#clock = new DatabaseClock(store, platform);
    this.platform = { ...platform, now: this.#clock.now };
    this.#table = new JobTable(store, this.platform);
    this.crons = new Crons(store, this.#clock.now, (tx, call) => this.#table.add(tx, call));
  }

  /** Starts to run jobs. */
  async start(
    services: Omit<JobRunnerServices, "isAlone" | "table" | "crons" | "platform">,
  ): Promise<void> {
    await this.#clock.start();
    // An SQLite file has one server, so no other server can be running these jobs.
    const isAlone = this.#store.dialect === "sqlite";
    if (isAlone) await this.#table.reclaimAll();
    this.#runner = new JobRunner({
      ...services,
      isAlone,
      table: this.#table,
      crons: this.crons,
      platform: this.platform,
    });
    this.#runner.start();
  }

  /** Replaces the crons and the limits of queues with those of an app that was loaded. */
  declare({ crons = [], queues = {} }: Pick<Manifest, "crons" | "queues">): void {
    this.crons.declare(crons);
    this.#table.declareQueues(queues);
    this.wake([0]);
  }

  /** Calls a cron's function now. @returns whether the cron exists */
  async triggerCron(name: string): Promise<boolean> {
    const id = await this.crons.trigger(name);
    this.wake([0]);
    return id !== null;
  }

  /** Stops running jobs. @param withinMs how long running jobs may continue, in milliseconds */
  async stop(withinMs: number): Promise<void> {
    await this.#runner?.stop(withinMs);
    this.#clock.stop();
  }

  /** When the next job or cron is due, in milliseconds since 1970; null for never. */
  async nextDue(): Promise<number | null> {
    const times = [await this.#table.nextDue(), this.crons.nextDue].filter((at) => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** The time of the clock of jobs, in milliseconds since 1970. */
  now(): number {
    return this.#clock.now();
  }

  /** The number of jobs that run on this replica. */
  get runningHere(): number {
    return this.#runner?.runningCount ?? 0;
  }

  add(tx: Transaction, call: ScheduledCall): Promise<string> {
    return this.#table.add(tx, call);
  }

  /** Returns an id for a new job. */
  newId(): string {
    return this.#table.newId();
  }

  /** Creates jobs of several calls without dedupe keys. */
  addMany(tx: Transaction, jobs: readonly NewJob[]): Promise<void> {
    return this.#table.addMany(tx, jobs);
  }

  /** Creates a job in a transaction of its own. @returns its id */
  async addOne(call: ScheduledCall): Promise<string> {
    const id = await this.#store.transact((tx) => this.#table.add(tx, call));
    this.wake([call.dueAt]);
    return id;
  }

  wake(times: readonly number[]): void {
    this.#runner?.wake(times);
  }

  cancel(tx: Transaction, id: string): Promise<boolean> {
    return this.#table.cancel(tx, id);
  }

  /** Makes a waiting job ready. @returns its state; null if it has ended */
  wakeUp(tx: Transaction, id: string): Promise<"ready" | "running" | null> {
    return this.#table.wakeUp(tx, id);
  }

  /** Aborts a job that was cancelled in a transaction, if it runs on this replica. */
  abort(id: string): void {
    this.#runner?.abort(id);
  }

  /**
   * Cancels a job that has not ended, and aborts it if it runs on this replica.
   *
   * @returns whether it was cancelled
   */
  async cancelOne(id: string): Promise<boolean> {
    const isCancelled = await this.#store.transact((tx) => this.#table.cancel(tx, id));
    if (isCancelled) this.#runner?.abort(id);
    return isCancelled;
  }

  /** Makes a dead or cancelled job ready, with all of its attempts. @returns whether it existed */
  async revive(id: string): Promise<boolean> {
    const isRevived = await this.#store.transact((tx) => this.#table.revive(tx, id));
    if (isRevived) this.wake([0]);
    return isRevived;
  }

  get(id: string): Promise<Job | null> {
    return this.#table.get(id);
  }

  /** Returns jobs, the newest first. */
  list(filter: JobFilter, limit: number): Promise<Job[]> {
    return this.#table.list(filter, limit);
  }

  /** Returns the number of jobs in each state, on all replicas. */
  counts(): Promise<Readonly<Record<JobStatus, number>>> {
    return this.#table.counts();
  }

  /** Deletes jobs that ended long enough ago. */
  async forgetOld(): Promise<void> {
    for (const { status, keptMs, isInBatch } of KEPT_MS)
      await this.#table.forget(status, this.now() - keptMs, isInBatch);
  }
}
