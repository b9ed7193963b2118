import type { Job, LeasedJob } from "../job.ts";

/** Observes jobs, for logs and metrics. */
export interface JobObserver {
  /** Called when an attempt has ended. `dead`: it was the last one. */
  ended(job: LeasedJob, outcome: "completed" | "failed" | "dead" | "lost", ms: number): void;
  /** Called when a job is dead: its last attempt failed, or was lost with its runner. */
  readonly died: (job: Job) => void;
  /** Called when the database failed; the runner tries again. */
  failed(error: unknown): void;
}
