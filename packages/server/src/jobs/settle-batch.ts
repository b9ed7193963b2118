import { literal, path } from "@pylonsync/query";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { batchText, readyPatch, toJob, waitsForBatch } from "./job-row.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
const OVER = ["completed", "dead", "cancelled"];

/**
 * Makes the job after a batch ready once all jobs of the batch have ended. It may be called at any
 * time, and concurrently.
 *
 * @param id the id of the job after the batch
 * @param now milliseconds since 1970
 * @returns whether the job has become ready
 */
export async function settleBatch(store: Store, id: string, now: number): Promise<boolean> {
  const row = await store.get(TABLE, id);
  const job = row === null ? null : toJob(row);
  if (row === null || job === null || job.status !== "pending" || !waitsForBatch(job)) return false;
  const groups = await store.aggregate({
    entity: TABLE,
    where: { kind: "compare", op: "==", left: path("data", "batchId"), right: literal(id) },
    groupBy: [{ field: "status", as: "status" }],
    measures: [{ fn: "count", as: "count" }],
  });
  const counts = new Map(groups.map(({ status, count }) => [String(status), Number(count)]));
  if ([...counts.keys()].some((status) => !OVER.includes(status))) return false;
  // Completed jobs may already be deleted; the others are kept for longer.
  const failed = (counts.get("dead") ?? 0) + (counts.get("cancelled") ?? 0);
  const total = job.batch?.total ?? 0;
  const batch = batchText({ total, completed: total - failed, failed });
  const updated = await store.transact(
    (tx) =>
      tx.updateMany(TABLE, [
        {
          id,
          patch: { ...readyPatch(job, now), batch },
          expected: { status: "pending", batch: row["batch"] ?? null },
        },
      ]),
    { isolation: "latest" },
  );
  return updated.size > 0;
}
