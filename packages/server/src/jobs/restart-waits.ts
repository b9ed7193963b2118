import { and, type Expr } from "@pylonsync/query";
import type { Store, Value } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { compare } from "./compare.ts";
import { isoOf, toJob } from "./job-row.ts";
import type { Job } from "./job.ts";
import { updateRows } from "./update-rows.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
/** The maximum number of jobs that one transaction changes. */
const BATCH = 500;

/**
 * Corrects the jobs after the clock was set back, perhaps while no server ran: a wait that seems to
 * begin in the future begins again. So a delay is at most doubled, instead of becoming longer by as
 * much as the clock was set back. Times that the app has named stay.
 *
 * @param now milliseconds since 1970
 * @param leaseMsOf the duration of a job's lease, in milliseconds
 */
export async function restartWaits(
  store: Store,
  now: number,
  leaseMsOf: (job: Job) => number,
): Promise<void> {
  const later = compare(">", "dueAt", isoOf(now));
  const delayed = (status: string, from: string): Expr =>
    and(compare("==", "status", status), later, compare(">", from, isoOf(now)));
  const pending = and(delayed("pending", "createdAt"), compare("==", "isFixed", null));
  const begunAgain = (waitMs: number): Patch => ({ dueAt: isoOf(now + waitMs) });
  await changeAll(store, pending, ({ dueAt, createdAt, batch }) => ({
    ...begunAgain(batch === null ? (dueAt ?? now) - createdAt : 0),
    createdAt: isoOf(now),
  }));
  // Also of a job with a named time: that was the time of its first attempt.
  await changeAll(store, delayed("retrying", "startedAt"), ({ dueAt, startedAt }) => ({
    ...begunAgain((dueAt ?? now) - (startedAt ?? now)),
    startedAt: isoOf(now),
  }));
  // The lease of a runner that was lost meanwhile.
  await changeAll(store, and(compare("==", "status", "running"), later), (job) => {
    const until = now + leaseMsOf(job);
    return (job.dueAt ?? 0) > until ? { dueAt: isoOf(until) } : null;
  });
}

type Patch = Readonly<Record<string, Value>>;

async function changeAll(
  store: Store,
  where: Expr,
  patchOf: (job: Job) => Patch | null,
): Promise<void> {
  for (let last = "", isMore = true; isMore;) {
    const rows = await store.transact(
      async (tx) => {
        const found = await tx.select({
          entity: TABLE,
          where: and(where, compare(">", "id", last)),
          order: [{ field: "id", direction: "asc" }],
          limit: BATCH,
          isClaim: true,
        });
        const updates = found.flatMap((row) => {
          const patch = patchOf(toJob(row));
          return patch === null ? [] : [{ id: row.id, patch }];
        });
        await updateRows(tx, updates);
        return found;
      },
      { isolation: "latest" },
    );
    last = rows.at(-1)?.id ?? "";
    isMore = rows.length === BATCH;
  }
}
