import { currentTrace } from "../observe/operation.ts";
import { isRecord } from "../util/is-record.ts";
import { sha256 } from "../util/sha256.ts";
import type { StoredRow, Value } from "../store/store.ts";
import type { JobBatch } from "../store/system-tables.ts";
import { PRIORITIES, type JobPriority, type ScheduledCall } from "../functions/scheduler.ts";
import { JOB_STATUSES, type Job } from "./job.ts";

/**
 * The rows of jobs.
 *
 * Two columns determine what happens next, `dueAt` and `readyKey`. Each has an index, so that
 * finding it costs the same among ten jobs and a million:
 *
 * - `dueAt`: something happens at this time: a waiting job becomes ready, or the runner of a
 *   running job counts as lost. Null for a job that is ready or has ended.
 * - `isFixed`: the app names the time of the first attempt; otherwise it is a delay from the
 *   creation. Later attempts follow after a delay from the one before. Null for false.
 * - `readyKey`: the job can be taken now. It consists of the lane (queue and key) and the order
 *   within it: the most urgent job first, then the one that has been due for longest. Null for all
 *   other jobs.
 */

/** Separates the parts of a `readyKey`: it sorts before every character of a part. */
const SEPARATOR = " ";
/** Sorts directly after the last job of a lane. */
const AFTER_SEPARATOR = "!";
/** The length of a key in a lane's name: short, and of characters that sort by code point. */
const KEY_CHARACTERS = 24;
const NO_KEY = "-";

/** Returns the lane in which a job waits: all jobs of a queue with the same key. */
export function laneOf(queue: string, key: string | null): string {
  return `${queue}${SEPARATOR}${key === null ? NO_KEY : sha256(key).slice(0, KEY_CHARACTERS)}`;
}

/** Returns the lane of a `readyKey`. */
export function laneOfReadyKey(readyKey: string): string {
  const [queue = "", key = ""] = readyKey.split(SEPARATOR);
  return `${queue}${SEPARATOR}${key}`;
}

/** Returns the queue of a lane. */
export function queueOfLane(lane: string): string {
  return lane.split(SEPARATOR)[0] ?? "";
}

/** Returns the text that sorts directly after the last `readyKey` of a queue. */
export function endOfQueue(queue: string): string {
  return `${queue}${AFTER_SEPARATOR}`;
}

/** Returns the two texts between which the `readyKey`s of a lane are. */
export function laneBounds(lane: string): { readonly from: string; readonly to: string } {
  return { from: `${lane}${SEPARATOR}`, to: `${lane}${AFTER_SEPARATOR}` };
}

/**
 * Returns the `readyKey` of a job, which is its position among the ready ones.
 *
 * @param dueAt milliseconds since 1970
 */
export function readyKeyOf(lane: string, priority: number, dueAt: number, id: string): string {
  const inversePriority = PRIORITIES.length - 1 - priority;
  return [lane, inversePriority, new Date(dueAt).toISOString(), id].join(SEPARATOR);
}

/**
 * The interval between checks of the batch that a job waits for, in milliseconds. The batch is also
 * checked when one of its jobs ends, but a server may be lost between that end and its check.
 */
const BATCH_LOOK_MS = 10_000;

/** Returns the row of a new job. @param now milliseconds since 1970 */
export function newRow(id: string, job: ScheduledCall, now: number): StoredRow {
  const lane = laneOf(job.queue, job.key);
  const priority = PRIORITIES.indexOf(job.priority);
  const { runsAfter } = job;
  // The clock may have been set since the call.
  const calledFor = job.delayMs === undefined ? job.dueAt : Math.min(job.dueAt, now + job.delayMs);
  const isReady = calledFor <= now && runsAfter === undefined;
  const dueAt = runsAfter === undefined ? calledFor : nextLook(runsAfter, now);
  const trace = currentTrace();
  // Columns without a value are left out: half of them, each of which is a parameter otherwise.
  return {
    id,
    name: job.name,
    args: job.args,
    queue: job.queue,
    priority,
    status: "pending",
    attempts: 0,
    maxAttempts: job.maxAttempts,
    createdAt: isoOf(now),
    laneKey: lane,
    startedBy: job.startedBy ?? null,
    ...(isReady ? { readyKey: readyKeyOf(lane, priority, dueAt, id) } : { dueAt: isoOf(dueAt) }),
    ...(isReady || job.delayMs !== undefined ? null : { isFixed: true }),
    ...(job.timeoutMs === null ? null : { timeoutMs: job.timeoutMs }),
    ...(job.batchId === undefined ? null : { batchId: job.batchId }),
    ...(runsAfter === undefined ? null : { batch: batchText({ total: runsAfter }) }),
    ...(trace === null ? null : { trace }),
  };
}

/** Returns when to check a batch next. @param jobs the number of jobs in it */
export function nextLook(jobs: number, now: number): number {
  return jobs === 0 ? now : now + BATCH_LOOK_MS;
}

/** Returns the value of the column `batch`. Without counts, the job waits. */
export function batchText({
  total,
  completed = null,
  failed = null,
}: Pick<JobBatch, "total"> & Partial<JobBatch>): string {
  return JSON.stringify({ total, completed, failed });
}

/** Whether a job waits for the other jobs of its batch. */
export function waitsForBatch({ batch }: Pick<Job, "batch">): boolean {
  return batch !== null && batch.completed === null;
}

/** Returns the change that makes a waiting job ready. */
export function readyPatch(
  { id, lane, priority }: Pick<Job, "id" | "lane" | "priority">,
  dueAt: number,
): Record<string, Value> {
  return { dueAt: null, readyKey: readyKeyOf(lane, PRIORITIES.indexOf(priority), dueAt, id) };
}

/** Returns the job of a row. Values that another version wrote become the nearest known ones. */
export function toJob(row: StoredRow): Job {
  return {
    id: row.id,
    name: textOf(row, "name") ?? "",
    args: textOf(row, "args") ?? "{}",
    queue: textOf(row, "queue") ?? "",
    lane: textOf(row, "laneKey") ?? laneOf(textOf(row, "queue") ?? "", null),
    priority: priorityOf(row),
    status: JOB_STATUSES.find((status) => status === row["status"]) ?? "dead",
    attempts: numberOf(row, "attempts"),
    maxAttempts: numberOf(row, "maxAttempts"),
    timeoutMs: row["timeoutMs"] === null ? null : numberOf(row, "timeoutMs"),
    createdAt: timeOf(row, "createdAt") ?? 0,
    startedAt: timeOf(row, "startedAt"),
    finishedAt: timeOf(row, "finishedAt"),
    dueAt: timeOf(row, "dueAt"),
    lease: textOf(row, "lease"),
    error: textOf(row, "error"),
    progress: progressOf(row),
    batchId: textOf(row, "batchId"),
    trace: textOf(row, "trace"),
    batch: batchOf(row),
    startedBy: textOf(row, "startedBy"),
  };
}

/** Returns a time as the table stores it. @param time milliseconds since 1970 */
export function isoOf(time: number): string {
  return new Date(time).toISOString();
}

function progressOf(row: StoredRow): Job["progress"] {
  const stored: unknown = JSON.parse(textOf(row, "progress") ?? "null");
  if (!isRecord(stored)) return null;
  const { fraction, note } = stored;
  return {
    fraction: typeof fraction === "number" ? fraction : 0,
    note: typeof note === "string" ? note : null,
  };
}

function batchOf(row: StoredRow): JobBatch | null {
  const stored: unknown = JSON.parse(textOf(row, "batch") ?? "null");
  if (!isRecord(stored)) return null;
  const { total, completed, failed } = stored;
  return {
    total: Number(total),
    completed: typeof completed === "number" ? completed : null,
    failed: typeof failed === "number" ? failed : null,
  };
}

function priorityOf(row: StoredRow): JobPriority {
  return PRIORITIES[numberOf(row, "priority")] ?? "normal";
}

function textOf(row: StoredRow, field: string): string | null {
  const value = row[field];
  return typeof value === "string" ? value : null;
}

function numberOf(row: StoredRow, field: string): number {
  const value = row[field];
  return typeof value === "number" ? value : 0;
}

function timeOf(row: StoredRow, field: string): number | null {
  const text = textOf(row, field);
  return text === null ? null : Date.parse(text);
}
