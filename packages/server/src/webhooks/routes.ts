import { PylonError } from "@pylonsync/protocol";
import { WEBHOOK_JOB, WEBHOOK_QUEUE } from "@pylonsync/sdk/plugins";
import { JOB_STATUSES, type Job } from "../jobs/job.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { RequestContext } from "../request/context.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import { deliveryOf } from "./delivery.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** The delivery log, for admins: lists deliveries, and retries failed ones. */
export function webhookRoutes(jobs: Jobs): Route[] {
  const path = "/api/admin/webhooks/deliveries";
  return [
    { method: "GET", path, access: "admin", handle: (context) => list(jobs, context) },
    {
      method: "POST",
      path: `${path}/:id/retry`,
      body: "none",
      access: "admin",
      handle: (context) => retry(jobs, context),
    },
  ];
}

async function list(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const named = context.query("status");
  const status = JOB_STATUSES.find((one) => one === named);
  if (named !== null && status === undefined)
    throw new PylonError("INVALID_QUERY", `Unknown status "${named.slice(0, 80)}".`, {
      field: "status",
      hint: `Use ${JOB_STATUSES.join(", ")}.`,
    });
  const found = await jobs.list({ status, queue: WEBHOOK_QUEUE }, limitOf(context.query("limit")));
  return json(found.flatMap((job) => toWire(job) ?? []));
}

async function retry(jobs: Jobs, context: RequestContext): Promise<Answer> {
  const id = context.param("id");
  const job = await jobs.get(id);
  if (job?.name === WEBHOOK_JOB && (await jobs.revive(id))) return json({ retried: true, id });
  throw new PylonError("NOT_FOUND", "There is no permanently failed delivery with this id.", {
    hint: "GET /api/admin/webhooks/deliveries?status=dead lists failed deliveries.",
  });
}

/** @throws PylonError INVALID_QUERY */
function limitOf(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new PylonError("INVALID_QUERY", `"limit" must be a whole number from 1 to ${MAX_LIMIT}.`, {
    field: "limit",
  });
}

function toWire(job: Job): object | null {
  const delivery = deliveryOf(job.args);
  if (delivery === null) return null;
  const message: unknown = JSON.parse(delivery.message);
  return {
    id: job.id,
    message_id: delivery.id,
    endpoint: delivery.endpoint,
    message,
    status: job.status,
    attempts: job.attempts,
    max_attempts: job.maxAttempts,
    error: job.error,
    created_at: isoTime(job.createdAt),
    finished_at: isoTime(job.finishedAt),
    next_attempt_at: job.status === "running" ? null : isoTime(job.dueAt),
  };
}

function isoTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
