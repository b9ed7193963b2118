import type { JobBatch, JobProgress } from "../store/system-tables.ts";
import { ACCOUNT_EMAIL_JOB } from "../functions/email.ts";
import type { JobPriority } from "../functions/scheduler.ts";

/**
 * The states of a job:
 *
 * - `pending`: waits for its time or for a free runner.
 * - `running`: a replica has it.
 * - `retrying`: failed, and waits for its next attempt.
 * - `completed`: succeeded.
 * - `dead`: failed for the last time; kept until it is retried manually or deleted because of its
 *   age.
 * - `cancelled`: cancelled before it succeeded.
 */
export const JOB_STATUSES = [
  "pending",
  "running",
  "retrying",
  "completed",
  "dead",
  "cancelled",
] as const;
/** A state of a job. */
export type JobStatus = (typeof JOB_STATUSES)[number];

/** A job. Times are in milliseconds since 1970. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly args: string;
  readonly queue: string;
  /** The queue and key, by which it waits. */
  readonly lane: string;
  readonly priority: JobPriority;
  readonly status: JobStatus;
  /** The number of attempts that were started. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** When it may run, or when its runner counts as lost; null if neither applies. */
  readonly dueAt: number | null;
  /** The lease of the running attempt; null for a job that does not run. */
  readonly lease: string | null;
  /** The error of the last attempt. */
  readonly error: string | null;
  /** The progress that the last attempt reported. */
  readonly progress: JobProgress | null;
  /** The id of the job that runs after the batch of this job. */
  readonly batchId: string | null;
  /** The trace of the write that created it, as a `traceparent`. */
  readonly trace: string | null;
  /** The batch after which it runs, if any. */
  readonly batch: JobBatch | null;
  /** The user whose call scheduled it, who may follow it; null if no user did. */
  readonly startedBy: string | null;
}

/** Whether the arguments of a job contain secrets, so that they are never shown. */
export function hasSecretArgs({ name }: Pick<Job, "name">): boolean {
  return name === ACCOUNT_EMAIL_JOB;
}

/** A job that this replica runs, with its lease. */
export interface LeasedJob extends Job {
  readonly lease: string;
}
