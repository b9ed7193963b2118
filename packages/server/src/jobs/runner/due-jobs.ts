import type { Platform } from "../../platform.ts";
import type { Crons } from "../crons.ts";
import type { JobTable, LeaseHolder } from "../job-table.ts";
import type { JobObserver } from "./job-observer.ts";
import type { LookTimer } from "./look-timer.ts";

/** How often a busy runner looks for jobs that have become due, in milliseconds. */
const DUE_POLL_MS = 100;
/** How long an idle server that has the jobs alone relies on what it has found, in milliseconds. */
const QUIET_MS = 5_000;

/** The dependencies of DueJobs. */
export interface DueJobsOptions {
  readonly table: JobTable;
  /** Whether no other server has these jobs: then `expect` is told of all that are added. */
  readonly isAlone: boolean;
  readonly crons: Crons;
  readonly platform: Pick<Platform, "now">;
  readonly observer: Pick<JobObserver, "died">;
  readonly holder: LeaseHolder;
  readonly timer: Pick<LookTimer, "wakeBy" | "failed">;
}

/**
 * Makes jobs ready when their time has come, and creates those of crons. It asks the database as
 * rarely as possible: each read of an idle server would cost as much as a request.
 */
export class DueJobs {
  readonly #options: DueJobsOptions;
  /** When it next looks for jobs that have become due, in milliseconds since 1970. */
  #settleAt = 0;
  /** Until when there is nothing to do unless something happens; only used by a server alone. */
  #quietUntil = 0;
  /** Whether something may have brought work since the current look began. */
  #isOutdated = false;
  /** The time of the last look, which detects a clock that was set back, even before the start. */
  #lookedAt = Infinity;

  constructor(options: DueJobsOptions) {
    this.#options = options;
  }

  /** There may be work: what a look has found, or is about to find, no longer holds. */
  mayHaveWork(): void {
    this.#isOutdated = true;
    this.#quietUntil = 0;
  }

  /** Jobs become due at these times, in milliseconds since 1970. */
  expect(times: readonly number[]): void {
    this.mayHaveWork();
    for (const at of times) {
      this.#settleAt = Math.min(this.#settleAt, at);
      this.#options.timer.wakeBy(at);
    }
  }

  /**
   * Begins a look: makes all jobs that are due ready to be taken.
   *
   * @returns false if no job can be ready
   */
  async settle(): Promise<boolean> {
    const { table, platform, observer, holder, timer } = this.#options;
    await this.#followClock();
    await this.#settleCrons();
    if (platform.now() < this.#quietUntil) {
      timer.wakeBy(this.#quietUntil);
      return false;
    }
    this.#isOutdated = false;
    if (platform.now() >= this.#settleAt) {
      this.#settleAt = platform.now() + DUE_POLL_MS;
      if ((await table.settleDue(observer.died, holder)) > 0) this.#settleAt = 0;
    }
    return true;
  }

  /**
   * Ends a look that has taken all ready jobs: looks again when the next one is due.
   *
   * @param isIdle whether there were none, and none are running
   */
  async awaitNext(isIdle: boolean): Promise<void> {
    const { table, platform, timer } = this.#options;
    const next = await table.nextDue();
    if (isIdle && !this.#isOutdated) this.#beQuiet(next);
    if (next === null) return;
    this.#settleAt = Math.min(this.#settleAt, next);
    timer.wakeBy(Math.max(next, platform.now() + 1));
  }

  /**
   * Skips the database in the next looks of an idle server that has the jobs alone. The time is
   * limited, for jobs that a tool has put into the file.
   */
  #beQuiet(next: number | null): void {
    const { isAlone, platform } = this.#options;
    if (isAlone) this.#quietUntil = Math.min(platform.now() + QUIET_MS, next ?? Infinity);
  }

  /** If the clock was set back, what was due soon would wait for as long as it was set back. */
  async #followClock(): Promise<void> {
    const { table, platform, holder } = this.#options;
    if (platform.now() >= this.#lookedAt) {
      this.#lookedAt = platform.now();
      return;
    }
    await table.clockSetBack(holder.leaseMsOf);
    this.#lookedAt = platform.now();
    this.#settleAt = 0;
    this.#quietUntil = 0;
  }

  /** Creates the jobs of due crons. A failure is reported, and delays no other job. */
  async #settleCrons(): Promise<void> {
    const { crons, platform, timer } = this.#options;
    const due = crons.nextDue;
    try {
      await crons.settleDue();
      if (crons.nextDue !== null) timer.wakeBy(Math.max(crons.nextDue, platform.now() + 1));
    } catch (error) {
      timer.failed(error);
    }
    // Afterwards, because its time may have come since.
    if (due !== null && due <= platform.now()) this.mayHaveWork();
  }
}
