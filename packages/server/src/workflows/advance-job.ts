import type { ScheduledCall } from "../functions/scheduler.ts";

/** The job that advances a run. No function can have this name. */
export const ADVANCE_JOB = "pylon/workflow";
/** The queue of those jobs. */
export const WORKFLOW_QUEUE = "workflows";
/** Attempts at an advance that ends in no other way: the app may be without the workflow for now. */
const MAX_ATTEMPTS = 100;

/** The job that advances a run from now on. @param now milliseconds since 1970 */
export function advanceJob(runId: string, now: number): ScheduledCall {
  return {
    name: ADVANCE_JOB,
    args: JSON.stringify({ run: runId }),
    queue: WORKFLOW_QUEUE,
    priority: "normal",
    dueAt: now,
    maxAttempts: MAX_ATTEMPTS,
    timeoutMs: null,
    key: null,
    dedupeKey: null,
  };
}

/** The run that a job advances. */
export function runIdOf(args: string): string | null {
  const { run }: { readonly run?: unknown } = JSON.parse(args);
  return typeof run === "string" ? run : null;
}
