import { MAX_PAGE_SIZE, PylonError } from "@pylonsync/protocol";
import type { ScheduleOptions } from "@pylonsync/functions";
import type { Functions } from "../functions/runner.ts";
import { delayOf, scheduledCall } from "../functions/scheduler.ts";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { JOB_STATUSES, type Job } from "./job.ts";
import type { Jobs } from "./jobs.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = Math.min(200, MAX_PAGE_SIZE);
const FIELDS = ["name", "payload", "priority", "delay_secs", "max_retries", "queue"] as const;

/** Jobs as an admin sees them: make, list, watch, take back, try again. */
export function jobRoutes(jobs: Jobs, functions: () => Functions, now: () => number): Route[] {
  const create = async (context: RequestContext): Promise<Answer> => {
    const body = asFields(await context.json({}));
    const call = scheduledCall(now, nameOf(body), delaySecsOf(body) * 1000, payloadOf(body), {
      queue: "default",
      ...optionsOf(body),
    });
    return json({ id: await jobs.addOne(call), status: "pending" }, 201);
  };

  const list = async (context: RequestContext): Promise<Answer> => {
    const status = context.query("status");
    const known = JOB_STATUSES.find((one) => one === status);
    if (status !== null && known === undefined)
      throw new PylonError("INVALID_QUERY", `There is no status "${status.slice(0, 80)}".`, {
        field: "status",
        hint: `Use ${JOB_STATUSES.join(", ")}.`,
      });
    const filter = { status: known, queue: context.query("queue") ?? undefined };
    return json((await jobs.list(filter, limitOf(context))).map(toWire));
  };

  const get = async (context: RequestContext): Promise<Answer> => {
    const job = await jobs.get(context.param("id"));
    if (job === null) throw notFound();
    return json(toWire(job));
  };

  const cancel = async (context: RequestContext): Promise<Answer> => {
    if (!(await jobs.cancelOne(context.param("id")))) throw notFound();
    return json({ cancelled: true, id: context.param("id") });
  };

  const retry = async (context: RequestContext): Promise<Answer> => {
    const id = context.param("id");
    if (!(await jobs.revive(id))) throw notFound();
    return json({ retried: true, id });
  };

  const path = "/api/jobs";
  return [
    { method: "POST", path, body: "rows", access: "admin", handle: create },
    { method: "GET", path, access: "admin", handle: list },
    {
      method: "GET",
      path: `${path}/stats`,
      access: "admin",
      handle: async () => json({ ...(await jobs.counts()), handlers: [...functions().keys()] }),
    },
    {
      method: "GET",
      path: `${path}/dead`,
      access: "admin",
      handle: async (context) =>
        json((await jobs.list({ status: "dead" }, limitOf(context))).map(toWire)),
    },
    {
      method: "POST",
      path: `${path}/dead/:id/retry`,
      body: "none",
      access: "admin",
      handle: retry,
    },
    { method: "GET", path: `${path}/:id`, access: "admin", handle: get },
    { method: "DELETE", path: `${path}/:id`, access: "admin", handle: cancel },
  ];
}

type Fields = Readonly<Record<string, unknown>>;

/** @throws PylonError INVALID_DATA */
function asFields(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new PylonError("INVALID_DATA", "The body is a JSON object.");
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
  throw new PylonError("MISSING_NAME", "A job names the function that it calls.", {
    field: "name",
    hint: 'Send {"name": "sendDigest"}.',
  });
}

function delaySecsOf({ delay_secs: seconds = 0 }: Fields): number {
  return delayOf(typeof seconds === "number" ? seconds * 1000 : seconds) / 1000;
}

function payloadOf({ payload }: Fields): unknown {
  return payload ?? {};
}

/** What is wrong with them is said by `scheduledCall`. */
function optionsOf({ queue, priority, max_retries: maxRetries }: Fields): ScheduleOptions {
  const given = { queue, priority, maxRetries };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** @throws PylonError INVALID_QUERY */
function limitOf(context: RequestContext): number {
  const given = context.query("limit") ?? String(DEFAULT_LIMIT);
  const limit = Number(given);
  if (/^\d+$/.test(given) && limit >= 1) return Math.min(limit, MAX_LIMIT);
  throw new PylonError("INVALID_QUERY", `limit is "${given.slice(0, 80)}".`, {
    field: "limit",
    hint: `It is a whole number from 1 to ${MAX_LIMIT}.`,
  });
}

function toWire(job: Job): Fields {
  return {
    id: job.id,
    name: job.name,
    payload: JSON.parse(job.args) as unknown,
    priority: job.priority,
    status: job.status,
    max_retries: job.maxAttempts - 1,
    retry_count: Math.max(0, job.attempts - 1),
    created_at: isoOrNull(job.createdAt),
    started_at: isoOrNull(job.startedAt),
    completed_at: isoOrNull(job.finishedAt),
    due_at: job.status === "running" ? null : isoOrNull(job.dueAt),
    error: job.error,
    queue: job.queue,
  };
}

function isoOrNull(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

function notFound(): PylonError {
  return new PylonError("NOT_FOUND", "There is no such job, or it is over.", {
    hint: "GET /api/jobs lists them.",
  });
}
