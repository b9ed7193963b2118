import type { Manifest } from "@pylonsync/sdk";
import type { JobQueue, ScheduledCall } from "../functions/scheduler.ts";
import type { Platform } from "../platform.ts";
import type { Store, Transaction } from "../store/store.ts";
import { Crons } from "./crons.ts";
import { DatabaseClock } from "./database-clock.ts";
import type { Job, JobStatus } from "./job.ts";
import { JobRunner, type JobRunnerServices } from "./job-runner.ts";
import type { JobFilter } from "./job-list.ts";
import { JobTable, type NewJob } from "./job-table.ts";

const HOUR_MS = 60 * 60_000;
/** How long a job is kept after its end, in milliseconds: a dead one until somebody has looked. */
const KEPT_MS = [
  { status: "completed", keptMs: 24 * HOUR_MS, isInBatch: true },
  { status: "cancelled", keptMs: 24 * HOUR_MS, isInBatch: false },
  // The job after a batch is told how many of it were.
  { status: "cancelled", keptMs: 30 * 24 * HOUR_MS, isInBatch: true },
  { status: "dead", keptMs: 30 * 24 * HOUR_MS, isInBatch: true },
] as const satisfies readonly { status: JobStatus; keptMs: number; isInBatch: boolean }[];

/** Work for later: kept in the store, run by whichever replica is free. */
export class Jobs implements JobQueue {
  readonly #store: Store;
  readonly #table: JobTable;
  readonly #clock: DatabaseClock;
  /** The server's, with the clock that jobs are timed by. */
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

  /** Runs jobs from now on. */
  async start(services: Omit<JobRunnerServices, "table" | "crons" | "platform">): Promise<void> {
    await this.#clock.start();
    // An SQLite file has one server: nobody else can be running them.
    if (this.#store.dialect === "sqlite") await this.#table.reclaimAll();
    this.#runner = new JobRunner({
      ...services,
      table: this.#table,
      crons: this.crons,
      platform: this.platform,
    });
    this.#runner.start();
  }

  /** Takes the crons and the limits of queues of an app that was loaded. */
  declare({ crons = [], queues = {} }: Pick<Manifest, "crons" | "queues">): void {
    this.crons.declare(crons);
    this.#table.declareQueues(queues);
    this.wake([0]);
  }

  /** Calls a cron's function now. @returns whether there is such a cron */
  async triggerCron(name: string): Promise<boolean> {
    const id = await this.crons.trigger(name);
    this.wake([0]);
    return id !== null;
  }

  /** @param withinMs how long those that run may go on, in milliseconds */
  async stop(withinMs: number): Promise<void> {
    await this.#runner?.stop(withinMs);
    this.#clock.stop();
  }

  /** When the next job or cron is due, in milliseconds since 1970; null for never. */
  async nextDue(): Promise<number | null> {
    const times = [await this.#table.nextDue(), this.crons.nextDue].filter((at) => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** The time that jobs are due by, in milliseconds since 1970. */
  now(): number {
    return this.#clock.now();
  }

  /** How many run on this replica. */
  get runningHere(): number {
    return this.#runner?.runningCount ?? 0;
  }

  add(tx: Transaction, call: ScheduledCall): Promise<string> {
    return this.#table.add(tx, call);
  }

  /** The id of a job that is to be made. */
  newId(): string {
    return this.#table.newId();
  }

  /** Makes several jobs of calls without a dedupe key. */
  addMany(tx: Transaction, jobs: readonly NewJob[]): Promise<void> {
    return this.#table.addMany(tx, jobs);
  }

  /** Makes a job in a transaction of its own. @returns its id */
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

  /** Makes a job ready that waits for its time. @returns what it does; null when it is over */
  wakeUp(tx: Transaction, id: string): Promise<"ready" | "running" | null> {
    return this.#table.wakeUp(tx, id);
  }

  /** Aborts a job where it runs here, which was cancelled in a transaction. */
  abort(id: string): void {
    this.#runner?.abort(id);
  }

  /**
   * Takes a job back that is not over, and aborts it where it runs here.
   *
   * @returns whether it was
   */
  async cancelOne(id: string): Promise<boolean> {
    const isCancelled = await this.#store.transact((tx) => this.#table.cancel(tx, id));
    if (isCancelled) this.#runner?.abort(id);
    return isCancelled;
  }

  /** Gives a dead or cancelled job all of its attempts again. @returns whether there was one */
  async revive(id: string): Promise<boolean> {
    const isRevived = await this.#store.transact((tx) => this.#table.revive(tx, id));
    if (isRevived) this.wake([0]);
    return isRevived;
  }

  get(id: string): Promise<Job | null> {
    return this.#table.get(id);
  }

  /** The newest first. */
  list(filter: JobFilter, limit: number): Promise<Job[]> {
    return this.#table.list(filter, limit);
  }

  /** How many there are in each state, on all replicas. */
  counts(): Promise<Readonly<Record<JobStatus, number>>> {
    return this.#table.counts();
  }

  /** Deletes those that have been over for long enough. */
  async forgetOld(): Promise<void> {
    for (const { status, keptMs, isInBatch } of KEPT_MS)
      await this.#table.forget(status, this.now() - keptMs, isInBatch);
  }
}
