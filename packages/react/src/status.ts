import { LIVE_JOB, LIVE_WORKFLOW, type JobState, type WorkflowState } from "@pylonsync/protocol";
import { useLive, type FunctionResult } from "./functions.ts";

/**
 * The status and progress of a job, live. Admins may follow any job, and users those that their own
 * calls have scheduled; for others `error` is NOT_FOUND.
 *
 * @param id the job's id, as returned by `ctx.scheduler.runAfter`; null: no job yet
 * @example
 * function ImportProgress({ jobId }: { jobId: string | null }) {
 *   const { data } = useJob(jobId);
 *   return <progress value={data?.progress?.fraction ?? 0} />;
 * }
 */
export function useJob(id: string | null): FunctionResult<JobState>;
export function useJob(id: string | null): FunctionResult<unknown> {
  return useLive(LIVE_JOB, id === null ? null : { id });
}

/**
 * The state of a workflow run, live: its status, its steps, and the value of its last `setState`.
 * Admins may follow any run, and users those that their own calls have started.
 *
 * @param id the run's id, as returned by `ctx.workflows.start`; null: no run yet
 * @example
 * function Delivery({ runId }: { runId: string }) {
 *   const { data } = useWorkflow<{ readonly at: string }>(runId);
 *   return <p>{data?.state?.at ?? "ordered"}</p>;
 * }
 */
export function useWorkflow<State = unknown>(
  id: string | null,
): FunctionResult<WorkflowState<State>>;
export function useWorkflow(id: string | null): FunctionResult<unknown> {
  return useLive(LIVE_WORKFLOW, id === null ? null : { id });
}
