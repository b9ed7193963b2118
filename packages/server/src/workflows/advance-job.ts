import type { ScheduledCall } from "../functions/scheduler.ts";

/** The job that advances a run. No function can have this name. */
export const ADVANCE_JOB = "pylon/workflow";
/** The queue of these jobs. */
export const WORKFLOW_QUEUE = "workflows";
/** The maximum number of attempts at an advance: the app may temporarily lack the workflow. */
const MAX_ATTEMPTS = 100;

/** Returns the job that advances a run. @param now when it is due, in milliseconds since 1970 */
export function advanceJob(runId: string, now: number): ScheduledCall {
  return {
    name: ADVANCE_JOB,
    args: JSON.stringify({ run: runId }),
    queue: WORKFLOW_QUEUE,
    priority: "normal",
    dueAt: now,
    delayMs: 0,
    maxAttempts: MAX_ATTEMPTS,
    timeoutMs: null,
    key: null,
    dedupeKey: null,
  };
}

/** Returns the id of the run that a job advances. @param args the arguments of the job */
export function runIdOf(args: string): string | null {
  const { run }: { readonly run?: unknown } = JSON.parse(args);
  return typeof run === "string" ? run : null;
}
