import type { ActionJob, BatchResult } from "@pylonsync/functions";
import { PylonError } from "@pylonsync/protocol";
import type { JobProgress } from "../../store/system-tables.ts";
import type { JobTable } from "../job-table.ts";
import type { LeasedJob } from "../job.ts";
import { LeaseLost } from "./lease.ts";

/** The maximum length of a note of a job's progress, in characters. */
const MAX_NOTE_LENGTH = 500;

/** Returns `ctx.job` of a job's function. */
export function jobContext(table: Pick<JobTable, "setProgress">, job: LeasedJob): ActionJob {
  return {
    id: job.id,
    attempt: job.attempts,
    batch: batchResultOf(job),
    setProgress: async (fraction, note) => {
      if (!(await table.setProgress(job, progressOf(fraction, note))))
        throw new LeaseLost("This server no longer holds the job's lease.");
    },
  };
}

function batchResultOf({ batch }: LeasedJob): BatchResult | null {
  const { total, completed, failed } = batch ?? { total: 0, completed: null, failed: null };
  return completed === null || failed === null ? null : { total, completed, failed };
}

/** @throws PylonError INVALID_ARGS */
function progressOf(fraction: unknown, note: unknown = null): JobProgress {
  if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1))
    throw new PylonError("INVALID_ARGS", "The progress of a job must be a number from 0 to 1.", {
      field: "fraction",
    });
  if (note !== null && (typeof note !== "string" || note.length > MAX_NOTE_LENGTH))
    throw new PylonError(
      "INVALID_ARGS",
      `The note of a job's progress must be a string of at most ${MAX_NOTE_LENGTH} characters.`,
      { field: "note" },
    );
  return { fraction, note };
}
