import { isRowId, LIVE_JOB, LIVE_WORKFLOW, PylonError } from "@pylonsync/protocol";
import { literal, path } from "@pylonsync/query";
import type { LoggedRead } from "../data/read-log.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Caller } from "../identity/identity.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { callerKey } from "../request/caller-key.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type {
  LiveCall,
  LiveCallTerms,
  LiveFunctionCalls,
  LiveOutcome,
} from "../sync/live-functions/calls.ts";
import type { Workflows } from "../workflows/workflows.ts";
import { jobState, workflowState } from "./status-views.ts";
import type { StatusKind } from "./status-versions.ts";
import type { StatusWatch } from "./status-watch.ts";

const KINDS: Readonly<Record<string, StatusKind>> = {
  [LIVE_JOB]: "job",
  [LIVE_WORKFLOW]: "workflow",
};
const TABLES = { job: SYSTEM_TABLES.jobs.name, workflow: SYSTEM_TABLES.workflowRuns.name } as const;

/** The source of jobs and runs. */
export interface StatusCallsOptions {
  /** The functions of the app. */
  readonly functions: LiveFunctionCalls;
  /** Counts new followers like function calls, for the rate limit. */
  readonly limiter: { count(key: () => string): Promise<void> };
  readonly jobs: Pick<Jobs, "get">;
  readonly workflows: Pick<Workflows, "get">;
  readonly watch: Pick<StatusWatch, "follow">;
}

/**
 * What clients subscribe to as live functions: those of the app, and beside them one job or one run
 * of a workflow. Admins may follow each, and a user those that their own calls have started.
 */
export class StatusCalls implements LiveFunctionCalls {
  readonly #options: StatusCallsOptions;

  constructor(options: StatusCallsOptions) {
    this.#options = options;
  }

  check(name: string, args: Readonly<Record<string, unknown>>, caller: Caller): LiveCallTerms {
    if (KINDS[name] === undefined) return this.#options.functions.check(name, args, caller);
    checkKeyScope(caller, "functions", { name });
    idOf(args);
    return { audience: "", isRead: false };
  }

  count(name: string, caller: Caller, address: string): Promise<void> {
    if (KINDS[name] === undefined) return this.#options.functions.count(name, caller, address);
    return this.#options.limiter.count(() => `${name}:${callerKey(caller, () => address)}`);
  }

  async run(call: LiveCall): Promise<LiveOutcome> {
    const kind = KINDS[call.name];
    if (kind === undefined) return this.#options.functions.run(call);
    const id = idOf(call.args);
    await this.#options.watch.follow(call.seed, kind, id, call.signal);
    const state = await this.#read(kind, id, call.caller);
    const result = state === null ? notFound(kind) : JSON.stringify(state);
    return { result, reads: [readOf(kind, id)], readsCaller: true };
  }

  async #read(kind: StatusKind, id: string, caller: Caller): Promise<unknown> {
    const { jobs, workflows } = this.#options;
    if (kind === "job") {
      const job = await jobs.get(id);
      return job !== null && mayFollow(caller, job) ? jobState(job, caller.isAdmin) : null;
    }
    const found = await workflows.get(id);
    if (found === null || !mayFollow(caller, found.run)) return null;
    return workflowState(found.run, found.steps, caller.isAdmin);
  }
}

/** The change that live functions receive when a job or a run has changed. */
export function statusChange(
  kind: StatusKind,
  id: string,
): { readonly entity: string; readonly id: string } {
  return { entity: TABLES[kind], id };
}

function mayFollow(
  { isAdmin, userId }: Caller,
  { startedBy }: { readonly startedBy: string | null },
): boolean {
  return isAdmin || (userId !== null && startedBy === userId);
}

function readOf(kind: StatusKind, id: string): LoggedRead {
  const where = {
    kind: "compare",
    op: "==",
    left: path("data", "id"),
    right: literal(id),
  } as const;
  return { entity: TABLES[kind], where, of: "rows", order: [], fields: null, last: null };
}

/** @throws PylonError INVALID_ARGS */
function idOf(args: Readonly<Record<string, unknown>>): string {
  const { id, ...rest } = args;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw new PylonError("INVALID_ARGS", `Unknown argument "${unknown.slice(0, 80)}".`, {
      field: unknown.slice(0, 80),
      hint: "Pass only the id.",
    });
  if (typeof id === "string" && isRowId(id)) return id;
  throw new PylonError("INVALID_ARGS", "The id of the job or run is missing or not valid.", {
    field: "id",
    hint: "Pass the id returned by ctx.scheduler.runAfter or ctx.workflows.start.",
  });
}

function notFound(kind: StatusKind): PylonError {
  return kind === "job"
    ? new PylonError("NOT_FOUND", "The job does not exist, or was scheduled by another user.")
    : new PylonError("NOT_FOUND", "The run does not exist, or was started by another user.");
}
