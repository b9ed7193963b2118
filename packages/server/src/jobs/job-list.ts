import { and } from "@pylonsync/query";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { compare } from "./compare.ts";
import { toJob } from "./job-row.ts";
import { JOB_STATUSES, type Job, type JobStatus } from "./job.ts";

const TABLE = SYSTEM_TABLES.jobs.name;
const NEWEST_FIRST = [
  { field: "createdAt", direction: "desc" },
  { field: "id", direction: "desc" },
] as const;

/** Selects the jobs to list, by default all. */
export interface JobFilter {
  readonly status?: JobStatus | undefined;
  readonly queue?: string | undefined;
}

/** Returns at most `limit` jobs, the newest first. */
export async function listJobs(
  store: Store,
  { status, queue }: JobFilter,
  limit: number,
): Promise<Job[]> {
  const ofQueue = queue === undefined ? [] : [compare("==", "queue", queue)];
  // The index starts with the state: one query for all states would sort the whole table.
  const lists = (status === undefined ? JOB_STATUSES : [status]).map((state) =>
    store.select({
      entity: TABLE,
      where: and(compare("==", "status", state), ...ofQueue),
      order: NEWEST_FIRST,
      limit,
    }),
  );
  const jobs = (await Promise.all(lists)).flat().map(toJob);
  return jobs.toSorted(newestFirst).slice(0, limit);
}

/** Returns the number of jobs in each state. */
export async function countJobs(store: Store): Promise<Readonly<Record<JobStatus, number>>> {
  const groups = await store.aggregate({
    entity: TABLE,
    groupBy: [{ field: "status", as: "status" }],
    measures: [{ fn: "count", as: "count" }],
  });
  const counts = { pending: 0, running: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
  for (const { status, count } of groups) {
    const known = JOB_STATUSES.find((one) => one === status);
    if (known !== undefined) counts[known] = Number(count);
  }
  return counts;
}

function newestFirst(one: Job, other: Job): number {
  return other.createdAt - one.createdAt || (one.id < other.id ? 1 : -1);
}
