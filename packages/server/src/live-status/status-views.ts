import type { JobState, WorkflowState } from "@pylonsync/protocol";
import type { Job } from "../jobs/job.ts";
import { isoTimeOrNull } from "../store/system-table.ts";
import type { Run, StepRow } from "../workflows/run.ts";

/** The state of a job for a client. @param isForAdmin only admins see why it failed */
export function jobState(job: Job, isForAdmin: boolean): JobState {
  return {
    id: job.id,
    name: job.name,
    status: job.status,
    attempts: job.attempts,
    progress: job.progress,
    createdAt: new Date(job.createdAt).toISOString(),
    startedAt: isoTimeOrNull(job.startedAt),
    finishedAt: isoTimeOrNull(job.finishedAt),
    error: isForAdmin ? job.error : null,
  };
}

/** The state of a run for a client. @param isForAdmin only admins see its result */
export function workflowState(
  run: Run,
  steps: readonly StepRow[],
  isForAdmin: boolean,
): WorkflowState {
  return {
    id: run.id,
    name: run.name,
    status: run.status,
    state: parsed(run.state),
    steps: steps.map(({ name, kind, status, startedAt, endedAt }) => ({
      name,
      kind,
      status,
      startedAt: new Date(startedAt).toISOString(),
      finishedAt: isoTimeOrNull(endedAt),
    })),
    createdAt: new Date(run.createdAt).toISOString(),
    finishedAt: isoTimeOrNull(run.finishedAt),
    output: isForAdmin ? parsed(run.output) : null,
    error: isForAdmin ? run.error : null,
  };
}

function parsed(text: string | null): unknown {
  return text === null ? null : (JSON.parse(text) as unknown);
}
