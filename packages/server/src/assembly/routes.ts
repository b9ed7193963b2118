import { aiRoutes } from "../ai/routes.ts";
import { aiSettingsOf } from "../ai/settings.ts";
import type { CompiledApp } from "../app/compile-app.ts";
import { manifestRoutes } from "../app/routes.ts";
import type { Redis } from "../cache/redis.ts";
import type { Config, RateLimit } from "../config/config.ts";
import { bulkRoutes } from "../data/bulk-routes.ts";
import { dataRoutes } from "../data/routes.ts";
import { transferRoutes } from "../data/transfer-routes.ts";
import { createFiles, type Files } from "../files/files.ts";
import { actionRoutes } from "../functions/actions.ts";
import { explainRoutes } from "../functions/explain-routes.ts";
import { withClaims } from "../functions/user-claims.ts";
import { functionRoutes } from "../functions/routes.ts";
import type { Runner } from "../functions/runner.ts";
import type { Traces } from "../functions/traces.ts";
import type { ConnectionLimit } from "../http/connection-limit.ts";
import type { ListenerServices } from "../http/listener.ts";
import { Origins } from "../http/origins.ts";
import { jobRoutes } from "../jobs/routes.ts";
import { DevMailbox } from "../mail/dev-mailbox.ts";
import { mailboxRoutes } from "../mail/mailbox-routes.ts";
import { mcpRoutes } from "../mcp/routes.ts";
import { toolsOf, type AppTools } from "../mcp/tools.ts";
import { cacheRoutes } from "../monitoring/cache-routes.ts";
import { logRoutes } from "../monitoring/log-routes.ts";
import { pubSubRoutes } from "../pubsub/routes.ts";
import { RateLimiter } from "../request/rate-limit.ts";
import type { Route } from "../request/route.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { roomRoutes } from "../rooms/routes.ts";
import { HttpConnections } from "../sync/live/http-connections.ts";
import { liveRoutes } from "../sync/live/live-routes.ts";
import { studioRoutes } from "../studio/studio-routes.ts";
import { syncRoutes } from "../sync/routes.ts";
import { webhookRoutes } from "../webhooks/routes.ts";
import { workflowRoutes } from "../workflows/routes.ts";
import type { AuthParts } from "./auth.ts";
import { type Base, sharedCount } from "./base.ts";

/** Files and their routes. */
export type FileParts = Files;

/** Creates the app's file service, in a folder or in S3. */
export function filesOf({ store, options, data }: Base): FileParts {
  const { config, log, platform, files } = options;
  return createFiles({
    store,
    reader: data.reader,
    storage: files.storage,
    settings: files.settings,
    model: data.model,
    platform,
    log,
    trustsProxy: config.trustProxyHops > 0,
    publicUrl: config.publicUrl,
  });
}

/** Returns the routes of the data, the functions, the users and the operators. */
export function routesOf(
  base: Base,
  { routes, authenticator, mcpOAuth }: AuthParts,
  { runner, traces }: { readonly runner: Runner; readonly traces: Traces },
  rooms: Rooms,
): Route[] {
  const { store, app, options, metrics, data, cache, pubSub, jobs, workflows, functionLimits } =
    base;
  const { config, log, mailer, platform } = options;
  const functions = (): CompiledApp["functions"] => app.current.functions;
  return [
    ...logRoutes(log.tail),
    ...cacheRoutes(cache),
    ...pubSubRoutes(pubSub),
    ...manifestRoutes(() => app.current),
    ...routes,
    ...dataRoutes(data),
    ...bulkRoutes(data),
    ...transferRoutes(data),
    ...syncRoutes(data, metrics),
    ...functionRoutes({
      runner,
      functions,
      http: () => app.current.http,
      limits: functionLimits,
      traces,
      identifyBearer: async (request) => (await authenticator.identifyBearer(request)).caller,
      withClaims: (caller) => withClaims(store, caller),
    }),
    ...explainRoutes({ ...data, store, now: platform.now }),
    ...actionRoutes({
      manifest: () => app.current.manifest,
      data,
      functions,
      runner,
      limits: functionLimits,
    }),
    ...jobRoutes(jobs, functions),
    ...webhookRoutes(jobs),
    ...workflowRoutes({
      workflows,
      definitions: () => app.current.workflows,
      store,
      wake: () => jobs.wake([0]),
      timeoutMs: config.fnTimeoutMs,
    }),
    ...modelRoutes(base, runner, mcpOAuth),
    ...roomRoutes({ rooms: rooms.store, guard: rooms.guard, reader: data.reader, platform }),
    ...studioRoutes(base.studio, {
      hasMailbox: mailer instanceof DevMailbox,
      app: config.dev ? app : null,
    }),
    ...(mailer instanceof DevMailbox ? mailboxRoutes(mailer) : []),
  ];
}

/** Returns the routes for calls by AI models, and to them. */
function modelRoutes(
  { app, options, data, redis, functionLimits }: Base,
  runner: Runner,
  mcpOAuth: AuthParts["mcpOAuth"],
): Route[] {
  const { config, log, platform } = options;
  const origins = new Origins(config.corsOrigins, config);
  const tools = (): AppTools | null => toolsOf(app.current.manifest, app.current.functions);
  return [
    ...aiRoutes({
      config: config.ai,
      settings: () => aiSettingsOf(app.current.manifest),
      platform,
      requests: aiLimiter("ai", config.ai?.requests, redis),
      tokens: aiLimiter("ai-tokens", config.ai?.tokens, redis),
    }),
    ...(tools() === null
      ? []
      : mcpRoutes({
          ...data,
          runner,
          limits: functionLimits,
          tools,
          app: () => app.current.manifest,
          oauth: mcpOAuth && { tokens: mcpOAuth.tokens, challenge: mcpOAuth.challenge },
          allowsOrigin: (origin, host) => origins.allows(origin, host),
          failed: (requestId, error) => log.error("tool failed", error, { request_id: requestId }),
        })),
  ];
}

function aiLimiter(name: string, limit: RateLimit | undefined, redis: Redis | null): RateLimiter {
  return new RateLimiter(limit ?? { max: 0, windowSeconds: 1 }, sharedCount(redis, name));
}

/** Returns the routes of live connections without a socket. */
export function httpLiveRoutes(
  {
    feed,
    messages,
    platform,
    queues,
  }: Pick<ListenerServices, "feed" | "messages" | "platform" | "queues">,
  count: ConnectionLimit,
  { pingSeconds }: Config,
): Route[] {
  const pingMs = pingSeconds * 1000;
  return liveRoutes(new HttpConnections({ hub: feed, messages, count, platform, queues, pingMs }));
}
