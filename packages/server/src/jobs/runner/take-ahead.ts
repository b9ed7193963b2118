import type { Job } from "../job.ts";

/** The maximum number of jobs that are taken in addition to those that can start immediately. */
const MAX_AHEAD = 1_000;
const FIRST_AHEAD = 8;
/** A handler that ran for at most this long, in milliseconds, was short. */
const SHORT_MS = 20;
/**
 * The maximum duration of the work that is taken ahead, in milliseconds: another replica could do
 * it sooner.
 */
const MAX_AHEAD_MS = 250;
/** The duration of a job in addition to that of its handler, in milliseconds. */
const JOB_MS = 0.25;
/** The maximum length of the arguments of the jobs that are taken ahead, in characters. */
const MAX_AHEAD_ARGS = 16 * 1024 * 1024;

/**
 * Decides how many jobs are taken before they can start. Short mutations share transactions, in
 * which they run one after another, and the more there are, the less each one costs. So while all
 * jobs that were taken are short, and more are ready, each take is larger than the one before.
 */
export class TakeAhead {
  /** The duration of the last handler of each mutation, in milliseconds. */
  readonly #durations = new Map<string, number>();
  #size = 0;

  /** The number of jobs that may be taken in addition to those that can start immediately. */
  get size(): number {
    return this.#size;
  }

  /** Whether a job of this function is expected to be short. */
  isShort(name: string): boolean {
    return this.#durationOf(name) <= SHORT_MS;
  }

  /**
   * Records the duration of a mutation's handler. It excludes the wait for the transaction and the
   * commit: those are shared, and a slow disk must not reduce sharing.
   */
  ran(name: string, ms: number): void {
    this.#durations.set(name, ms);
  }

  /** Records the result of a take. @param wanted the maximum number of jobs that it could take */
  took(jobs: readonly Pick<Job, "name" | "args">[], wanted: number): void {
    if (!jobs.every(({ name }) => this.isShort(name))) this.#size = 0;
    else if (jobs.length === wanted)
      this.#size = Math.min(Math.max(FIRST_AHEAD, this.#size * 2), this.#maxFor(jobs));
  }

  /** Assumes that the next jobs are like the largest of these. */
  #maxFor(jobs: readonly Pick<Job, "name" | "args">[]): number {
    let longest = 0;
    let largest = 1;
    for (const { name, args } of jobs) {
      longest = Math.max(longest, this.#durationOf(name));
      largest = Math.max(largest, args.length);
    }
    const inTime = MAX_AHEAD_MS / Math.max(longest, JOB_MS);
    return Math.floor(Math.min(MAX_AHEAD, inTime, MAX_AHEAD_ARGS / largest));
  }

  #durationOf(name: string): number {
    return this.#durations.get(name) ?? Infinity;
  }
}
