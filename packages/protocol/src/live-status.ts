/**
 * The function to which a client subscribes to follow a job: `{ function: LIVE_JOB, args: { id }
 * }`. Functions of an app can't have this name.
 */
export const LIVE_JOB = "$job";
/** The same for a workflow run. */
export const LIVE_WORKFLOW = "$workflow";

/** The state of a job, for the user who scheduled it and for admins. Times are in ISO 8601. */
export interface JobState {
  readonly id: string;
  /** The function that it calls. */
  readonly name: string;
  /** `retrying`: an attempt failed, and another one follows. `dead`: the last one failed. */
  readonly status: "pending" | "running" | "retrying" | "completed" | "dead" | "cancelled";
  /** The number of started attempts. */
  readonly attempts: number;
  /** The last progress reported with `ctx.job.setProgress`. */
  readonly progress: { readonly fraction: number; readonly note: string | null } | null;
  readonly createdAt: string;
  /** The start of its last attempt. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** The error of its last attempt, for admins; null for others. */
  readonly error: string | null;
}

/** The state of a step, for the user who started the run and for admins. */
export interface WorkflowStepState {
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly startedAt: string;
  readonly finishedAt: string | null;
}

/** The state of a workflow run, for the user who started it and for admins. */
export interface WorkflowState<State = unknown> {
  readonly id: string;
  /** The name of the workflow. */
  readonly name: string;
  readonly status:
    | "pending"
    | "running"
    | "sleeping"
    | "waiting"
    | "completed"
    | "failed"
    | "cancelled";
  /** The value of the last `setState`. */
  readonly state: State | null;
  /** The steps called by its code, in order. */
  readonly steps: readonly WorkflowStepState[];
  readonly createdAt: string;
  readonly finishedAt: string | null;
  /** The return value, for admins; null for others. */
  readonly output: unknown;
  /** The error, for admins; null for others. */
  readonly error: string | null;
}
