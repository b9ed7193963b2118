import type { Transaction } from "../store/store.ts";
import type { AttemptOutcome } from "./job-changes.ts";
import type { LeasedJob } from "./job.ts";

/** An attempt at a task of the server. */
export interface TaskAttempt {
  readonly job: LeasedJob;
  /** Aborted when the job is no longer this runner's. */
  readonly signal: AbortSignal;
  /**
   * Lets a transaction commit only if the job is this runner's.
   *
   * @throws PylonError JOB_LOST
   */
  readonly hold: (tx: Transaction) => Promise<void>;
  /** Ends the attempt within a transaction. @throws PylonError JOB_LOST */
  readonly finish: (tx: Transaction, outcome: AttemptOutcome) => Promise<void>;
}

/** A task of the server: it ends its attempts itself; an error that it throws fails the attempt. */
export type Task = (attempt: TaskAttempt) => Promise<void>;
