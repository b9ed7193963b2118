import type { JobBatch, JobProgress } from "../store/system-tables.ts";
import { ACCOUNT_EMAIL_JOB } from "../functions/email.ts";
import type { JobPriority } from "../functions/scheduler.ts";

/**
 * - `pending`: waits for its time or for a free runner.
 * - `running`: a replica has it.
 * - `retrying`: failed, and waits for its next attempt.
 * - `completed`: succeeded.
 * - `dead`: failed for the last time; kept until it is retried by hand or too old.
 * - `cancelled`: taken back before it succeeded.
 */
export const JOB_STATUSES = [
  "pending",
  "running",
  "retrying",
  "completed",
  "dead",
  "cancelled",
] as const;
/** One of those states. */
export type JobStatus = (typeof JOB_STATUSES)[number];

/** A job as it is kept. Times are in milliseconds since 1970. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly args: string;
  readonly queue: string;
  /** Where it waits: its queue and key. */
  readonly lane: string;
  readonly priority: JobPriority;
  readonly status: JobStatus;
  /** How often it was started. */
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** When it may run, or when its runner counts as lost; null where neither is waited for. */
  readonly dueAt: number | null;
  /** Of the attempt that runs it; null for a job that does not run. */
  readonly lease: string | null;
  /** Why the last attempt failed. */
  readonly error: string | null;
  /** How far its last attempt said that it was. */
  readonly progress: JobProgress | null;
  /** The job after the batch that it is in. */
  readonly batchId: string | null;
  /** The trace of the write that made it, as a `traceparent`. */
  readonly trace: string | null;
  /** Of a job that runs after a batch of others. */
  readonly batch: JobBatch | null;
  /** The user whose call scheduled it, who may follow it; null for nobody. */
  readonly startedBy: string | null;
}

/** Whether the arguments of a job open something: nobody is shown them. */
export function hasSecretArgs({ name }: Pick<Job, "name">): boolean {
  return name === ACCOUNT_EMAIL_JOB;
}

/** A job that this replica runs, under a lease of its own. */
export interface LeasedJob extends Job {
  readonly lease: string;
}
