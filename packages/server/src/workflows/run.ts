import { and, literal, path } from "@pylonsync/query";
import type { RowOf } from "../store/system-table.ts";
import type { Reader, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/** The table of runs. */
export const RUNS = SYSTEM_TABLES.workflowRuns;
/** The table of the calls that the code of runs has made. */
export const STEPS = SYSTEM_TABLES.workflowSteps;
/** The table of the events that were sent to runs. */
export const EVENTS = SYSTEM_TABLES.workflowEvents;

/**
 * One run of a workflow.
 *
 * - `signals` increases with every change that may end a wait: before a run waits, it checks
 *   whether it has increased.
 * - `jobId` is the id of the job that advances it. The job waits for `wakeAt`, or until it is
 *   woken.
 * - `failedStep` is the position of the step whose failure ended the run, if any.
 */
export type Run = RowOf<typeof RUNS>;
/**
 * A call that the code of a run has made. `position` numbers the calls, `seq` their ends: a replay
 * makes the calls and delivers the results in the same order.
 */
export type StepRow = RowOf<typeof STEPS>;
/** An event that was sent to a run. */
export type EventRow = RowOf<typeof EVENTS>;

/** Whether a run has ended. */
export function isOver({ status }: Pick<Run, "status">): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Returns the id of the row of a call. */
export function stepId(runId: string, position: number): string {
  return `${runId} ${String(position).padStart(6, "0")}`;
}

/** Returns all calls of a run, by their positions. */
export function stepsOf(reader: Reader, runId: string): Promise<StepRow[]> {
  return STEPS.select(reader, {
    where: STEPS.is("runId", runId),
    order: [{ field: "id", direction: "asc" }],
  });
}

/** Returns the number of calls of each run that have ended; runs without any are absent. */
export async function endedSteps(
  reader: Reader,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const groups = await reader.aggregate({
    entity: STEPS.name,
    where: and(
      {
        kind: "in",
        item: path("data", "runId"),
        list: { kind: "list", items: runIds.map(literal) },
      },
      { kind: "compare", op: "!=", left: path("data", "seq"), right: literal(null) },
    ),
    groupBy: [{ field: "runId", as: "id" }],
    measures: [{ fn: "count", as: "count" }],
  });
  return new Map(groups.map(({ id, count }) => [String(id), Number(count)]));
}

/** Returns the events that were sent to a run and not consumed yet, the oldest first. */
export function eventsOf(reader: Reader, runId: string): Promise<EventRow[]> {
  return EVENTS.select(reader, {
    where: EVENTS.is("runId", runId),
    order: [{ field: "id", direction: "asc" }],
  });
}

/**
 * Writes the rows of calls, new and existing ones.
 *
 * @param isNew whether a row certainly does not exist
 * @throws Error for a mutation that was committed although its server received a failure, such as
 *   when the connection to the database was lost during the commit: the next advance reads its
 *   result
 */
export async function putSteps(
  tx: Transaction,
  rows: readonly StepRow[],
  isNew: (row: StepRow) => boolean = () => false,
): Promise<void> {
  for (const row of rows) {
    if (isNew(row)) {
      await STEPS.insertNew(tx, row);
      continue;
    }
    const known = row.kind === "mutation" ? await STEPS.get(tx, row.id) : null;
    if (known !== null && known.seq !== null)
      throw new Error(`Step ${row.position} "${row.name}" has already ended.`);
    await STEPS.put(tx, row);
  }
}

/** Reads a run with its calls and its events. @returns null if the run does not exist */
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
