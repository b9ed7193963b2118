import type { AppProblems } from "../app/app-problem.ts";
import type { CompiledApp } from "../app/compile-app.ts";
import { type AuthOptions } from "../auth/auth.ts";
import type { Cache } from "../cache/cache.ts";
import { MemoryCache } from "../cache/memory-cache.ts";
import { RedisCache } from "../cache/redis-cache.ts";
import { Redis } from "../cache/redis.ts";
import type { Config } from "../config/config.ts";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import { Committer } from "../data/commit.ts";
import type { dataRoutes } from "../data/routes.ts";
import type { FileSettings } from "../files/file-settings.ts";
import type { FileStorage } from "../files/file-storage.ts";
import { FunctionLimits } from "../functions/function-limits.ts";
import { delayOf, scheduledCall } from "../functions/scheduler.ts";
import { Jobs } from "../jobs/jobs.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { MailCounts } from "../mail/open-mailer.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Telemetry } from "../observe/telemetry.ts";
import { Tracing } from "../observe/tracing.ts";
import type { Platform } from "../platform.ts";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";
import { requestReader } from "../request/reading.ts";
import { PubSub } from "../pubsub/pub-sub.ts";
import type { RoomTimes } from "../rooms/room-store.ts";
import type { Store } from "../store/store.ts";
import { studioAccess, type StudioAccess } from "../studio/studio-access.ts";
import { Feed } from "../sync/feed.ts";
import { withRunner } from "../workflows/runner-client.ts";
import { Workflows } from "../workflows/workflows.ts";

/** The inputs of a server besides its store and its app. */
export interface RunningOptions {
  readonly oauthEndpoints: AuthOptions["oauthEndpoints"];
  readonly roomTimes: RoomTimes;
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly platform: Platform;
  readonly mailer: Mailer;
  readonly mails: Readonly<MailCounts>;
  /** Null: nothing is exported. */
  readonly telemetry: Telemetry | null;
  readonly version: string;
  readonly files: { readonly settings: FileSettings; readonly storage: FileStorage };
  /** A test controls the time, so that no thread can watch whether it passes. */
  readonly isTimeVirtual?: boolean | undefined;
}

/** The current app: a new version replaces it while the server runs. */
export interface CurrentApp {
  current: CompiledApp;
  /** In dev mode: why the saved version is not the current one; its pages show that. */
  problems: AppProblems;
}

/** The services that most parts need. */
export interface Base {
  readonly store: Store;
  readonly app: CurrentApp;
  readonly options: RunningOptions;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly committer: Committer;
  readonly data: Parameters<typeof dataRoutes>[0];
  readonly redis: Redis | null;
  /** The cache of functions. */
  readonly cache: Cache;
  readonly pubSub: PubSub;
  readonly jobs: Jobs;
  readonly workflows: Workflows;
  readonly limiters: { readonly address: RateLimiter; readonly function: RateLimiter };
  readonly functionLimits: FunctionLimits;
  readonly studio: StudioAccess;
}

/** Creates the services that most parts need. */
export function baseOf(
  store: Store,
  app: CurrentApp,
  options: RunningOptions,
  metrics: Metrics,
): Base {
  const { config, platform, telemetry } = options;
  const model = (): CompiledApp["model"] => app.current.model;
  const committer = new Committer(
    store,
    model,
    platform,
    (outcome, ms) => metrics.commit(outcome, ms),
    config.maxRowBytes,
  );
  const redis = redisOf(app, options);
  const limiters = {
    address: new RateLimiter(config.rateLimit, sharedCount(redis, "address")),
    function: new RateLimiter(config.fnRateLimit, sharedCount(redis, "function")),
  };
  const jobs = new Jobs(store, platform);
  jobs.declare(app.current.manifest);
  committer.scheduleWith({
    add: async (tx, { name, args, options: { delayMs = 0, ...how } }) => {
      const call = scheduledCall(() => jobs.now(), name, delayOf(delayMs), args, how);
      return { id: await jobs.add(tx, call), dueAt: call.dueAt };
    },
    wake: (times) => jobs.wake(times),
  });
  return {
    store,
    app,
    options,
    tracing: new Tracing(telemetry?.recorder ?? null),
    metrics,
    committer,
    data: {
      store,
      committer,
      model,
      platform,
      reader: requestReader(store, config.queryTimeoutMs),
    },
    redis,
    cache: redis === null ? new MemoryCache(platform) : new RedisCache(redis),
    pubSub: new PubSub(platform, redis),
    jobs,
    workflows: workflowsOf(store, app, config, jobs),
    limiters,
    studio: studioAccess(config, platform),
    functionLimits: new FunctionLimits(limiters.function, (name) =>
      sharedCount(redis, `function ${name}`),
    ),
  };
}

function workflowsOf(store: Store, app: CurrentApp, config: Config, jobs: Jobs): Workflows {
  return new Workflows({
    store,
    jobs,
    platform: jobs.platform,
    definitions: () => withRunner(app.current.workflows, config.workflowRunnerUrl),
    timeoutMs: config.fnTimeoutMs,
  });
}

function redisOf({ current }: CurrentApp, { config, log, platform }: RunningOptions): Redis | null {
  if (config.redisUrl === null) return null;
  const namespace = `pylon:${encodeURIComponent(current.manifest.name)}`.replaceAll("'", "%27");
  return new Redis(config.redisUrl, log, config.redisNamespace ?? namespace, platform);
}

/** Returns the shared counter of all replicas, or null if each counts for itself. */
export function sharedCount(redis: Redis | null, name: string): SharedCount | null {
  return redis === null ? null : { redis, name };
}

/** Creates the feed, which delivers commits to the connections. */
export function feedOf(
  { store, app, options, metrics, tracing }: Base,
  sessionStatus: (identity: Identity) => Promise<SessionStatus>,
): Feed {
  const { config, log, platform } = options;
  return new Feed(store, app.current.model, platform, sessionStatus, config.queryTimeoutMs, {
    failed: (error) => log.error("feed failed", error),
    delivered: (lagMs) => metrics.delivered(lagMs),
    traced: (changes, subscribers, deliver) => tracing.delivery(changes, subscribers, deliver),
  });
}
