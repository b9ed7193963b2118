import type { Platform } from "../../platform.ts";
import type { JobTable } from "../job-table.ts";
import type { LeasedJob } from "../job.ts";
import { Attempts, type AttemptsOptions } from "./attempts.ts";
import { BatchChecks } from "./batch-checks.ts";
import { DueJobs, type DueJobsOptions } from "./due-jobs.ts";
import { LookTimer } from "./look-timer.ts";
import { Outcomes } from "./outcomes.ts";
import { RunningJobs, type RunningJobsOptions } from "./running-jobs.ts";
import { TakeAhead } from "./take-ahead.ts";

/** The services of the runner. */
export interface JobRunnerServices
  extends
    Pick<DueJobsOptions, "isAlone" | "crons">,
    Pick<RunningJobsOptions, "timeoutMs">,
    Pick<AttemptsOptions, "runner" | "functions" | "tasks" | "observer" | "traced"> {
  readonly table: JobTable;
  readonly platform: Platform;
  /** The maximum number of jobs that this replica runs at the same time. */
  readonly concurrency: number;
  /**
   * Resolves when a function that never returns would be noticed. No function is called before
   * that: each restart would run a job that loops again, and stop forever.
   */
  readonly watched: () => Promise<void>;
}

/** Runs jobs on this replica: takes them from the table when they are due, and begins attempts. */
export class JobRunner {
  readonly #services: JobRunnerServices;
  readonly #timer: LookTimer;
  readonly #due: DueJobs;
  readonly #ahead = new TakeAhead();
  readonly #running: RunningJobs;
  readonly #outcomes: Outcomes;
  readonly #batches: BatchChecks;

  constructor(services: JobRunnerServices) {
    const { platform, observer } = services;
    this.#services = services;
    this.#timer = new LookTimer({
      platform,
      look: () => this.#takeWork(),
      onFailure: (error) => observer.failed(error),
    });
    this.#outcomes = new Outcomes(services);
    this.#batches = new BatchChecks({ ...services, onReady: () => this.wake([0]) });
    const attempts = new Attempts({
      ...services,
      outcomes: this.#outcomes,
      batches: this.#batches,
      handled: (name, ms) => this.#ahead.ran(name, ms),
    });
    this.#running = new RunningJobs({
      ...services,
      attempt: (job, signal) => attempts.run(job, signal),
      onFree: () => {
        this.#due.mayHaveWork();
        this.#timer.wakeBy(0);
      },
    });
    this.#due = new DueJobs({ ...services, timer: this.#timer, holder: this.#running });
  }

  /** The number of jobs that run on this replica. */
  get runningCount(): number {
    return this.#running.size;
  }

  start(): void {
    this.#running.start();
    this.wake([0]);
  }

  /** Looks for work at these times, in milliseconds since 1970. */
  wake(times: readonly number[]): void {
    this.#due.expect(times);
  }

  /** Aborts a job that was cancelled, if it runs on this replica. */
  abort(id: string): void {
    this.#running.abort(id);
  }

  /**
   * Takes no more jobs, and waits for the running ones. Jobs that have not ended in time are
   * returned to the queue, for another replica or the next start.
   *
   * @param withinMs how long to wait, in milliseconds
   */
  async stop(withinMs: number): Promise<void> {
    this.#batches.stop();
    this.#running.stopRenewing();
    await this.#timer.stop();
    const rest = await this.#running.stop(withinMs);
    await this.#outcomes.flush();
    if (rest.length > 0) await this.#services.table.release(rest);
  }

  async #takeWork(): Promise<void> {
    const { table, concurrency, watched } = this.#services;
    if (concurrency === 0) return;
    if (!(await this.#due.settle())) return;
    const free = concurrency + this.#ahead.size - this.#running.size;
    if (free <= 0 || this.#timer.isStopped) return;
    const jobs = await table.take(free, this.#running.leaseMsOf);
    this.#ahead.took(jobs, free);
    if (jobs.length > 0) await watched();
    await this.#beginAll(jobs);
    // Otherwise more may be ready: the end of a job causes the next look.
    if (jobs.length < free)
      await this.#due.awaitNext(jobs.length === 0 && this.#running.size === 0);
  }

  /**
   * Begins jobs. Jobs that were taken ahead, but are not short, are returned if there is no place.
   */
  async #beginAll(jobs: readonly LeasedJob[]): Promise<void> {
    const { table, concurrency } = this.#services;
    let places = concurrency - this.#running.counted;
    const excess: LeasedJob[] = [];
    for (const job of jobs) {
      const isShort = this.#ahead.isShort(job.name);
      if (isShort || places > 0) this.#running.begin(job, isShort);
      else excess.push(job);
      if (!isShort) places -= 1;
    }
    if (excess.length > 0) await table.release(excess);
  }
}
