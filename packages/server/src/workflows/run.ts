import type { RowOf } from "../store/system-table.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/** The table of runs. */
export const RUNS = SYSTEM_TABLES.workflowRuns;
/** The table of what the code of runs has called. */
export const STEPS = SYSTEM_TABLES.workflowSteps;
/** The table of what was sent to runs. */
export const EVENTS = SYSTEM_TABLES.workflowEvents;

/**
 * One run of a workflow.
 *
 * - `signals` grows with all that may end a wait: a run that is about to wait looks whether it has.
 * - `jobId` names the job that advances it. It waits for `wakeAt`, or until it is woken up.
 * - `failedStep` is the position of the step whose failure ended the run, if one did.
 */
export type Run = RowOf<typeof RUNS>;
/**
 * A call that the code of a run has made. `position` numbers the calls, `seq` their ends: what is
 * replayed is called and answered in the same order.
 */
export type StepRow = RowOf<typeof STEPS>;
/** Something that was sent to a run. */
export type EventRow = RowOf<typeof EVENTS>;

/** Whether a run has ended. */
export function isOver({ status }: Pick<Run, "status">): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** The id of the row of a call. */
export function stepId(runId: string, position: number): string {
  return `${runId} ${String(position).padStart(6, "0")}`;
}

/** All calls of a run, by their positions. */
export function stepsOf(reader: Reader, runId: string): Promise<StepRow[]> {
  return STEPS.select(reader, {
    where: STEPS.is("runId", runId),
    order: [{ field: "id", direction: "asc" }],
  });
}

/** What was sent to a run and not taken yet, the oldest first. */
export function eventsOf(reader: Reader, runId: string): Promise<EventRow[]> {
  return EVENTS.select(reader, {
    where: EVENTS.is("runId", runId),
    order: [{ field: "id", direction: "asc" }],
  });
}

/**
 * Writes rows of calls, new ones and known ones.
 *
 * @throws Error for a mutation that was committed though its server was told that it had failed, as
 *   when the database was lost just then: the next advance reads what it came to
 */
export async function putSteps(tx: Transaction, rows: readonly StepRow[]): Promise<void> {
  for (const row of rows) {
    const known = row.kind === "mutation" ? await STEPS.get(tx, row.id) : null;
    if (known !== null && known.seq !== null)
      throw new Error(`Step ${row.position} "${row.name}" has already ended.`);
    await STEPS.put(tx, row);
  }
}

/** What a run begins its advance with, in one look. */
export async function loadRun(
  reader: Reader,
  id: string,
): Promise<{
  readonly run: Run;
  readonly steps: readonly StepRow[];
  readonly events: readonly EventRow[];
} | null> {
  const run = await RUNS.get(reader, id);
  if (run === null) return null;
  return { run, steps: await stepsOf(reader, id), events: await eventsOf(reader, id) };
}
