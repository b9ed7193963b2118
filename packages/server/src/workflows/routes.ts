import { PylonError } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { listLimit } from "../request/list-limit.ts";
import { json, type Answer } from "../request/responses.ts";
import type { Route } from "../request/route.ts";
import type { Store } from "../store/store.ts";
import { isoTimeOrNull } from "../store/system-table.ts";
import type { Run, StepRow } from "./run.ts";
import type { Definitions } from "./definitions.ts";
import type { RunWithSteps, Workflows } from "./workflows.ts";

const PATH = "/api/workflows";
/** The names of the states in the API. */
const STATUSES = {
  pending: "Pending",
  running: "Running",
  sleeping: "Sleeping",
  waiting: "WaitingForEvent",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
} as const satisfies Readonly<Record<Run["status"], string>>;

const HINT = { hint: "GET /api/workflows lists the runs." };

type Fields = Readonly<Record<string, unknown>>;

/** The services of the routes. */
export interface WorkflowRouteServices {
  readonly workflows: Workflows;
  readonly definitions: () => Definitions;
  readonly store: Store;
  /** Called when a job was created. */
  readonly wake: () => void;
  /** The timeout of an attempt at a step, unless its workflow sets one, in milliseconds. */
  readonly timeoutMs: number;
}

/** The routes of runs for admins: start, list, read, send events, cancel and retry. */
export function workflowRoutes(services: WorkflowRouteServices): Route[] {
  const { workflows } = services;
  const admin = { access: "admin" } as const;
  const get = (path: string, handle: Route["handle"]): Route => ({
    ...admin,
    method: "GET",
    path: PATH + path,
    handle,
  });
  const post = (path: string, body: "rows" | "none", handle: Route["handle"]): Route => ({
    ...admin,
    method: "POST",
    path: PATH + path,
    body,
    handle,
  });
  return [
    get("/definitions", () => json(definitionsOf(services))),
    post("/start", "rows", (context) => start(services, context)),
    get("", (context) => list(workflows, context)),
    {
      ...admin,
      method: "GET",
      // The path at which dashboards of the public system expect the same data.
      path: "/api/admin/ops/workflows",
      handle: (context) => list(workflows, context),
    },
    get("/:id", (context) => one(workflows, context)),
    post("/:id/advance", "none", (context) => advance(workflows, context)),
    post("/:id/event", "rows", (context) => send(services, context)),
    post("/:id/cancel", "none", (context) => cancel(workflows, context)),
    post("/:id/retry", "none", (context) => retry(workflows, context)),
  ];
}

function definitionsOf({ definitions, timeoutMs }: WorkflowRouteServices): Fields[] {
  return [...definitions()].map(([name, definition]) => ({
    name,
    description: definition.description ?? null,
    file: definition.file,
    version: definition.version ?? 1,
    max_retries: definition.maxRetries ?? 3,
    step_timeout_secs: definition.stepTimeoutSecs ?? timeoutMs / 1000,
  }));
}

async function start(services: WorkflowRouteServices, context: RequestContext): Promise<Answer> {
  const { workflows, store, wake } = services;
  const { name, input = {} } = fieldsOf(await context.json({}), ["name", "input"]);
  if (typeof name !== "string" || name === "")
    throw missing("name", "A run must name its workflow.");
  const id = await store.transact((tx) => workflows.start(tx, name, input));
  wake();
  return json({ id }, 201);
}

async function list(workflows: Workflows, context: RequestContext): Promise<Answer> {
  const given = context.query("status");
  const status = statusOf(given);
  const runs = await workflows.list(status, listLimit(context));
  return json(runs.map(({ run, currentStep }) => summaryOf(run, currentStep)));
}

async function one(workflows: Workflows, context: RequestContext): Promise<Answer> {
  const found = await workflows.get(context.param("id"));
  if (found !== null) return json(toWire(found));
  throw new PylonError("NOT_FOUND", "The workflow run does not exist.", {
    hint: "GET /api/workflows lists the runs.",
  });
}

async function advance(workflows: Workflows, context: RequestContext): Promise<Answer> {
  const status = await workflows.advance(context.param("id"));
  if (status !== null) return json({ status: STATUSES[status] });
  throw new PylonError("WORKFLOW_ADVANCE_FAILED", "The workflow run does not exist.", HINT);
}

async function send(services: WorkflowRouteServices, context: RequestContext): Promise<Answer> {
  const { workflows, store, wake } = services;
  const { event, data = {} } = fieldsOf(await context.json({}), ["event", "data"]);
  if (typeof event !== "string" || event === "")
    throw missing("event", "An event must have a name.");
  await store.transact((tx) => workflows.sendAwaited(tx, context.param("id"), event, data));
  wake();
  return json({ ok: true });
}

async function cancel(workflows: Workflows, context: RequestContext): Promise<Answer> {
  if (await workflows.cancelOne(context.param("id"))) return json({ cancelled: true });
  throw new PylonError("WORKFLOW_CANCEL_FAILED", "The run does not exist, or has ended.", HINT);
}

async function retry(workflows: Workflows, context: RequestContext): Promise<Answer> {
  if (await workflows.retry(context.param("id"))) return json({ retried: true });
  throw new PylonError("WORKFLOW_RETRY_FAILED", "The run does not exist, or has not failed.", HINT);
}

/** @throws PylonError INVALID_DATA */
function fieldsOf(body: unknown, known: readonly string[]): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new PylonError("INVALID_DATA", "The body must be a JSON object.");
  const [unknown] = Object.keys(body).filter((key) => !known.includes(key));
  if (unknown === undefined) return { ...body };
  throw new PylonError("INVALID_DATA", `Unknown field "${unknown.slice(0, 80)}".`, {
    field: unknown.slice(0, 80),
    hint: `Use ${known.join(", ")}.`,
  });
}

/** @throws PylonError INVALID_QUERY */
function statusOf(given: string | null): Run["status"] | null {
  if (given === null) return null;
  for (const [status] of Object.entries(STATUSES))
    if (isStatus(status) && status === given) return status;
  throw new PylonError("INVALID_QUERY", `Unknown status "${given.slice(0, 80)}".`, {
    field: "status",
    hint: `Use ${Object.keys(STATUSES).join(", ")}.`,
  });
}

function isStatus(text: string): text is Run["status"] {
  return Object.hasOwn(STATUSES, text);
}

function toWire({ run, steps }: RunWithSteps): Fields {
  return {
    ...summaryOf(run, steps.filter(({ seq }) => seq !== null).length),
    input: parsed(run.input),
    steps: steps.map(stepToWire),
    state: parsed(run.state),
    output: parsed(run.output),
  };
}

/**
 * A run without its values and steps, which may have megabytes. `wake_at` is in seconds since 1970,
 * as older clients expect.
 */
function summaryOf(run: Run, currentStep: number): Fields {
  return {
    id: run.id,
    name: run.name,
    version: run.version,
    status: STATUSES[run.status],
    error: run.error,
    created_at: isoTimeOrNull(run.createdAt),
    started_at: isoTimeOrNull(run.startedAt),
    completed_at: isoTimeOrNull(run.finishedAt),
    wake_at: run.wakeAt === null ? null : Math.floor(run.wakeAt / 1000),
    waiting_for: run.waitingFor,
    current_step: currentStep,
    max_retries: run.maxRetries,
    parent_id: run.parentId,
    generation: run.generation ?? 0,
  };
}

function stepToWire(step: StepRow): Fields {
  return {
    step_id: `step_${step.position}`,
    name: step.kind === "event" ? `event:${step.name}` : step.name,
    kind: step.kind,
    status: step.status,
    output: parsed(step.output),
    error: step.error,
    started_at: isoTimeOrNull(step.startedAt),
    completed_at: isoTimeOrNull(step.endedAt),
    duration_ms: step.endedAt === null ? null : step.endedAt - step.startedAt,
    retry_count: Math.max(0, step.attempts - 1),
    child_id: step.childId,
  };
}

function parsed(text: string | null): unknown {
  return text === null ? null : (JSON.parse(text) as unknown);
}

function missing(field: string, message: string): PylonError {
  return new PylonError("MISSING_FIELD", message, { field });
}
