import { FunctionCache } from "../cache/function-cache.ts";
import { isOAuthSecret } from "../config/oauth-variables.ts";
import { VARIABLES } from "../config/variables.ts";
import type { Variable } from "../config/variables/variable.ts";
import { createFetch } from "../functions/create-fetch.ts";
import { FunctionEnv } from "../functions/secrets.ts";
import { HttpEndpoints } from "../functions/http-endpoints.ts";
import type { LateWatchdog } from "../functions/late-watchdog.ts";
import { functionsIn } from "../functions/late-watchdog.ts";
import { LiveCalls } from "../functions/live-calls.ts";
import { captureConsole } from "../functions/console-capture.ts";
import type { RunnerServices } from "../functions/runner-services.ts";
import { Runner } from "../functions/runner.ts";
import { BLOCKED_BY } from "../functions/watchdog-protocol.ts";
import type { ListenerServices } from "../http/listener.ts";
import { FunctionIsolation } from "../isolation/function-isolation.ts";
import { ReadCalls } from "../live-reads/read-calls.ts";
import { StatusCalls, statusChange } from "../live-status/status-calls.ts";
import { StatusWatch } from "../live-status/status-watch.ts";
import type { Feed } from "../sync/feed.ts";
import type { LiveFunctionCalls } from "../sync/live-functions/calls.ts";
import type { RunningOptions, Base } from "./base.ts";

/** Creates the runner of the app's functions. */
export function runnerOf(
  { store, app, options, metrics, committer, data, cache, jobs, workflows }: Base,
  watchdog: LateWatchdog,
  parts: Pick<RunnerServices, "isolation" | "traces" | "storageOf">,
): Runner {
  const { config, env, log, platform } = options;
  captureConsole();
  return new Runner({
    ...parts,
    queue: jobs,
    workflows,
    store,
    committer,
    model: data.model,
    functions: () => app.current.functions,
    policies: () => app.current.functionPolicies,
    platform,
    sendRequest: createFetch(config.dev),
    mail: options.mailer,
    log,
    env: functionEnv(env, app),
    cache: new FunctionCache(cache),
    timeoutMs: config.fnTimeoutMs,
    dev: config.dev,
    observer: {
      started: (name, isIsolated) => {
        if (!isIsolated) watchdog.started(name);
      },
      ended: (name, type, outcome, durationMs, isIsolated) => {
        if (!isIsolated) watchdog.ended(name);
        metrics.functionCall(name, type, outcome, durationMs);
      },
      failed: (name, requestId, error) =>
        log.error("function failed", error, { function: name, request_id: requestId }),
    },
  });
}

/** Creates the live functions that clients subscribe to. */
export function liveCallsOf(
  { store, options, jobs, workflows, limiters, functionLimits, data }: Base,
  runner: Runner,
  feed: Feed,
): LiveFunctionCalls {
  const { log, platform, config } = options;
  const watch = new StatusWatch({
    store,
    platform,
    onChanged: (kind, id) => {
      const change = statusChange(kind, id);
      feed.invalidate(change.entity, change.id);
    },
    onError: (error) => log.error("job status can't be watched", error),
  });
  const functions = new LiveCalls(runner, functionLimits);
  const { model } = data;
  const timeoutMs = config.queryTimeoutMs;
  const limiter = limiters.address;
  return new StatusCalls({
    functions: new ReadCalls({ functions, store, model, platform, timeoutMs, limiter }),
    limiter: limiters.function,
    jobs,
    workflows,
    watch,
  });
}

function functionEnv(env: RunningOptions["env"], app: Base["app"]): FunctionEnv {
  return new FunctionEnv(withoutOwnSecrets(env), () => app.current.secretNames);
}

/** Creates the runner of isolated functions, in separate processes. */
export function isolationOf({ store, app, options }: Base): FunctionIsolation {
  const { config, env, log, platform } = options;
  const { mode, processes, memoryBytes } = config.isolation;
  const shared = functionEnv(env, app);
  return new FunctionIsolation({
    mode,
    size: processes,
    memoryBytes,
    store,
    functions: () => app.current.functions,
    app: () => {
      const { dir, functionsDir } = app.current;
      return functionsDir === undefined ? null : { root: dir, functionsDir };
    },
    env: () => shared.shared,
    dev: config.dev,
    blockedBefore: functionsIn(env[BLOCKED_BY]),
    log,
    platform,
  });
}

/** Returns the HTTP functions of the current app. */
export function endpointsOf(
  { app, functionLimits }: Base,
  runner: Runner,
): ListenerServices["endpoints"] {
  const endpoints = new HttpEndpoints(runner, functionLimits, () => app.current.http);
  return (path) => endpoints.at(path);
}

/** A secret that gives no access to this server: an app may call the provider itself. */
const SHARED_SECRET = "PYLON_AI_API_KEY";

/** Functions see the environment, except the server's own secrets. */
function withoutOwnSecrets(env: RunningOptions["env"]): RunningOptions["env"] {
  const secrets = new Set(
    Object.entries(VARIABLES).flatMap(([name, variable]: [string, Variable<unknown>]) =>
      variable.secret === true && name !== SHARED_SECRET ? [name] : [],
    ),
  );
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !secrets.has(name) && !isOAuthSecret(name) && name !== BLOCKED_BY,
    ),
  );
}
