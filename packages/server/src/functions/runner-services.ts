import type { FnCache, FnDefinition, FnStorage } from "@pylonsync/functions";
import type { Committer } from "../data/commit.ts";
import type { DataModel } from "../data/model.ts";
import type { Caller } from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { FunctionPolicies } from "../policy/function-policies.ts";
import type { Store } from "../store/store.ts";
import type { FunctionLog } from "./call-log.ts";
import type { Functions } from "./call.ts";
import type { MailSender } from "./email.ts";
import type { Fetch } from "./function-fetch.ts";
import type { Isolation } from "./isolation.ts";
import type { JobQueue } from "./scheduler.ts";
import type { FunctionEnv } from "./secrets.ts";
import type { Traces } from "./traces.ts";
import type { WorkflowRuns } from "./workflows.ts";

/** The services that functions use. */
export interface RunnerServices {
  readonly store: Store;
  readonly committer: Committer;
  readonly model: () => DataModel;
  readonly functions: () => Functions;
  /** The policies that decide who may call which function. */
  readonly policies: () => FunctionPolicies;
  readonly platform: Platform;
  /** Sends the mails of `ctx.email`. */
  readonly mail: MailSender;
  /** Sends the requests of `ctx.fetch`. */
  readonly sendRequest: Fetch;
  /** Returns `ctx.storage` for the calls of a caller. */
  readonly storageOf: (caller: Caller) => FnStorage;
  /** The destination of `ctx.log`. */
  readonly log: FunctionLog;
  /** The source of `ctx.env` and `ctx.secrets`. */
  readonly env: FunctionEnv;
  /** `ctx.cache`. */
  readonly cache: FnCache;
  readonly timeoutMs: number;
  /** In dev mode errors contain what a handler threw. */
  readonly dev: boolean;
  /** The queue of `ctx.scheduler`. */
  readonly queue: JobQueue;
  /** Starts the runs of `ctx.workflows`. */
  readonly workflows: WorkflowRuns;
  /** Selects the handlers that run in a separate process. */
  readonly isolation: Isolation;
  /** Records calls. */
  readonly traces: Traces;
  /** Called when calls start and end, for metrics, logs and the watchdog. */
  readonly observer: RunObserver;
}

/** Observes calls. */
export interface RunObserver {
  /** @param isIsolated whether it runs in a separate process and can't block this one */
  started(name: string, isIsolated: boolean): void;
  ended(
    name: string,
    type: FnDefinition["type"],
    outcome: "ok" | "refused" | "failed",
    durationMs: number,
    isIsolated: boolean,
  ): void;
  /** Called when a handler throws an unexpected error: a bug in the app. */
  failed(name: string, requestId: string, error: unknown): void;
}
