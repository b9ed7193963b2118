import type { Platform } from "../platform.ts";
import type { Value } from "../store/store.ts";
import { isoOf, nextLook, readyPatch, waitsForBatch } from "./job-row.ts";
import { hasSecretArgs, type Job, type JobStatus, type LeasedJob } from "./job.ts";
import { retryDelayMs } from "./retry-delay.ts";

const LOST_MESSAGE = "The process that ran the job was lost.";
/** The arguments of a job without arguments. */
const NO_ARGS = "{}";

/** The outcome of an attempt. */
export type AttemptOutcome =
  | { readonly kind: "completed" }
  /**
   * Work of the server that continues later; the attempt does not count.
   *
   * @property dueAt milliseconds since 1970; null: when `wakeUp` is called
   */
  | { readonly kind: "again"; readonly dueAt: number | null }
  /** @property isFinal whether no further attempt can succeed */
  | { readonly kind: "failed"; readonly error: string; readonly isFinal: boolean };

/** Returns the changes to the row of a job for each event. */
export class JobChanges {
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** The change to a job that is due. */
  due(job: Job, now: number): Record<string, Value> {
    if (job.status === "running") return this.lost(job);
    const { status, dueAt, error, batch } = job;
    if (batch !== null && waitsForBatch(job))
      return { ...this.lookAgain(nextLook(Math.max(1, batch.total), now)), status, error };
    return { ...readyPatch(job, dueAt ?? now), status, finishedAt: null, lease: null, error };
  }

  /** The change to a job that waits for a batch: when the batch is checked again. */
  lookAgain(dueAt: number): Record<string, Value> {
    return { dueAt: isoOf(dueAt), readyKey: null, finishedAt: null, lease: null };
  }

  /** The change after an attempt. */
  afterAttempt(job: LeasedJob, outcome: AttemptOutcome): Record<string, Value> {
    const { attempts } = job;
    if (outcome.kind === "completed") return { ...this.over(job, "completed", null), attempts };
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
    // Text that a store can't hold would prevent the outcomes of other jobs from being written.
    const error = outcome.error.replaceAll("\0", "").toWellFormed();
    if (outcome.isFinal || attempts >= job.maxAttempts)
      return { ...this.over(job, "dead", error), attempts };
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

  /** The change to a job whose runner was lost. */
  lost(job: Job): Record<string, Value> {
    if (job.attempts >= job.maxAttempts) return this.over(job, "dead", LOST_MESSAGE);
    const ready = readyPatch(job, this.#platform.now());
    return { ...ready, status: "retrying", finishedAt: null, lease: null, error: LOST_MESSAGE };
  }

  /** The change to a job that has ended: its secrets are no longer needed. */
  over(job: Job, status: JobStatus, error: string | null): Record<string, Value> {
    const finishedAt = isoOf(this.#platform.now());
    const patch = { status, finishedAt, error, dueAt: null, readyKey: null, lease: null };
    return hasSecretArgs(job) ? { ...patch, args: NO_ARGS } : patch;
  }

  /** A random number from 0 to 1. */
  #chance(): number {
    const bytes = new Uint8Array(1);
    this.#platform.random(bytes);
    return (bytes[0] ?? 0) / 255;
  }
}
