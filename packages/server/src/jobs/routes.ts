import { PylonError } from "@pylonsync/protocol";
import type { ScheduleOptions } from "@pylonsync/functions";
import type { Functions } from "../functions/call.ts";
import { delayOf, scheduledCall } from "../functions/scheduler.ts";
import type { RequestContext } from "../request/context.ts";
import { listLimit } from "../request/list-limit.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { CronState } from "./crons.ts";
import { hasSecretArgs, JOB_STATUSES, type Job } from "./job.ts";
import type { Jobs } from "./jobs.ts";

const FIELDS = ["name", "payload", "priority", "delay_secs", "max_retries", "queue"] as const;

/** The routes of jobs for admins: create, list, read, cancel and retry; and those of crons. */
export function jobRoutes(jobs: Jobs, functions: () => Functions): Route[] {
  const path = "/api/jobs";
  const stats = async (): Promise<Answer> => {
    const counts = await jobs.counts();
    // Older dashboards expect the jobs whose last attempt failed in one number.
    const failed = counts.retrying + counts.dead;
    return json({ ...counts, failed, handlers: [...functions().keys()] });
  };
  return [
    {
      method: "POST",
      path,
      body: "rows",
      access: "admin",
      handle: (context) => create(jobs, context),
    },
    { method: "GET", path, access: "admin", handle: (context) => list(jobs, context) },
    { method: "GET", path: `${path}/stats`, access: "admin", handle: stats },
    {
      method: "GET",
      path: `${path}/dead`,
      access: "admin",
      handle: (context) => listDead(jobs, context),
    },
    {
      method: "POST",
      path: `${path}/dead/:id/retry`,
      body: "none",
      access: "admin",
      handle: (context) => retry(jobs, context),
    },
    {
      method: "GET",
      path: `${path}/:id`,
      access: "admin",
      handle: (context) => get(jobs, context),
    },
    {
      method: "DELETE",
      path: `${path}/:id`,
      access: "admin",
      handle: (context) => cancel(jobs, context),
    },
    ...schedulerRoutes(jobs),
    ...operationsRoutes(jobs),
  ];
}

function schedulerRoutes(jobs: Jobs): Route[] {
  return [
    { method: "GET", path: "/api/scheduler", access: "admin", handle: () => listCrons(jobs) },
    {
      method: "POST",
      path: "/api/scheduler/trigger/:name",
      body: "none",
      access: "admin",
      handle: (context) => trigger(jobs, context),
    },
  ];
}

/** The paths at which dashboards of the public system expect the same data. */
function operationsRoutes(jobs: Jobs): Route[] {
  const path = "/api/admin/ops";
  return [
    {
      method: "GET",
      path: `${path}/jobs`,
      access: "admin",
      handle: (context) => list(jobs, context),
    },
    { method: "GET", path: `${path}/scheduler`, access: "admin", handle: () => listCrons(jobs) },
  ];
}

async function create(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const body = asFields(await context.json({}));
  const call = inWireNames(() =>
    scheduledCall(() => jobs.now(), nameOf(body), delayMsOf(body), body["payload"] ?? {}, {
      queue: "default",
      ...optionsOf(body),
    }),
  );
  return json({ id: await jobs.addOne(call), status: "pending" }, 201);
}

async function list(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const status = context.query("status");
  const known = JOB_STATUSES.find((one) => one === status);
  if (status !== null && known === undefined)
    throw new PylonError("INVALID_QUERY", `Unknown status "${status.slice(0, 80)}".`, {
      field: "status",
      hint: `Use ${JOB_STATUSES.join(", ")}.`,
    });
  const filter = { status: known, queue: context.query("queue") ?? undefined };
  return json((await jobs.list(filter, listLimit(context))).map(toWire));
}

async function listDead(jobs: Jobs, context: RequestContext): Promise<Answer> {
  return json((await jobs.list({ status: "dead" }, listLimit(context))).map(toWire));
}

async function get(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const job = await jobs.get(context.param("id"));
  if (job === null) throw notFound();
  return json(toWire(job));
}

async function cancel(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const id = context.param("id");
  if (!(await jobs.cancelOne(id))) throw notFound();
  return json({ cancelled: true, id });
}

async function retry(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const id = context.param("id");
  if (!(await jobs.revive(id))) throw notFound();
  return json({ retried: true, id });
}

async function listCrons(jobs: Jobs): Promise<Answer> {
  return json((await jobs.crons.states()).map(cronToWire));
}

async function trigger(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const task = context.param("name");
  if (await jobs.triggerCron(task)) return json({ triggered: true, task });
  throw new PylonError("NOT_FOUND", "The cron does not exist.", {
    hint: "GET /api/scheduler lists the crons.",
  });
}

/** The fields of the request, by the names that `scheduledCall` has for them. */
const WIRE_NAMES: ReadonlyMap<string | undefined, string> = new Map([
  ["delayMs", "delay_secs"],
  ["maxRetries", "max_retries"],
  ["args", "payload"],
]);

/** Names the field of the request in the error of a call that can't be scheduled. */
function inWireNames<Result>(schedule: () => Result): Result {
  try {
    return schedule();
  } catch (error) {
    const field = error instanceof PylonError ? WIRE_NAMES.get(error.field) : undefined;
    if (!(error instanceof PylonError) || field === undefined) throw error;
    const message =
      field === "delay_secs"
        ? "The delay must be a number of seconds from 0 to ten years."
        : error.message;
    const details = { field, hint: error.hint };
    if (error.code === "PAYLOAD_TOO_LARGE")
      throw new PylonError("PAYLOAD_TOO_LARGE", message, details);
    throw new PylonError("INVALID_ARGS", message, details);
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** @throws PylonError INVALID_DATA */
function asFields(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new PylonError("INVALID_DATA", "The body must be a JSON object.");
  const [unknown] = Object.keys(body).filter((key) => !FIELDS.some((known) => known === key));
  if (unknown === undefined) return { ...body };
  throw new PylonError("INVALID_DATA", `A job has no field "${unknown.slice(0, 80)}".`, {
    field: unknown.slice(0, 80),
    hint: `Use ${FIELDS.join(", ")}.`,
  });
}

/** @throws PylonError MISSING_NAME */
function nameOf({ name }: Fields): string {
  if (typeof name === "string" && name !== "") return name;
  throw new PylonError("MISSING_NAME", "A job must name the function to call.", {
    field: "name",
    hint: 'Send {"name": "sendDigest"}.',
  });
}

function delayMsOf({ delay_secs: seconds = 0 }: Fields): number {
  return delayOf(typeof seconds === "number" ? seconds * 1000 : seconds);
}

/** `scheduledCall` validates the options. */
function optionsOf({ queue, priority, max_retries: maxRetries }: Fields): ScheduleOptions {
  const given = { queue, priority, maxRetries };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function toWire(job: Job): Fields {
  return {
    id: job.id,
    name: job.name,
    payload: hasSecretArgs(job) ? null : (JSON.parse(job.args) as unknown),
    priority: job.priority,
    status: job.status,
    max_retries: job.maxAttempts - 1,
    retry_count: Math.max(0, job.attempts - 1),
    created_at: isoOrNull(job.createdAt),
    started_at: isoOrNull(job.startedAt),
    completed_at: isoOrNull(job.finishedAt),
    delay_secs: delaySecsOf(job),
    due_at: job.status === "running" ? null : isoOrNull(job.dueAt),
    error: job.error,
    progress: job.progress,
    queue: job.queue,
    batch_id: job.batchId,
    batch: job.batch,
  };
}

/** How long after its creation a waiting job may start. */
function delaySecsOf({ status, dueAt, createdAt }: Job): number {
  if (dueAt === null || (status !== "pending" && status !== "retrying")) return 0;
  return Math.max(0, Math.round((dueAt - createdAt) / 1000));
}

/** `last_run` is in seconds since 1970, as older clients expect. */
function cronToWire({ cron, lastAt, nextAt }: CronState): Fields {
  return {
    name: cron.name,
    enabled: true,
    schedule: cron.schedule,
    timezone: cron.timezone ?? "UTC",
    function: cron.function,
    last_run: lastAt === null ? null : Math.floor(lastAt / 1000),
    next_run: isoOrNull(nextAt),
  };
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

function notFound(): PylonError {
  return new PylonError("NOT_FOUND", "The job does not exist, or has ended.", {
    hint: "GET /api/jobs lists the jobs.",
  });
}
