import { createIdFactory } from "@pylonsync/protocol";
import type { CompiledApp } from "./app/compile-app.ts";
import { createPage } from "./app/page.ts";
import { manifestRoutes } from "./app/routes.ts";
import { createAuth, type AuthOptions } from "./auth/auth.ts";
import { FunctionCache } from "./cache/function-cache.ts";
import { MemoryCache } from "./cache/memory-cache.ts";
import { RedisCache } from "./cache/redis-cache.ts";
import { Redis } from "./cache/redis.ts";
import type { Config } from "./config/config.ts";
import { isOAuthSecret } from "./config/oauth-variables.ts";
import { VARIABLES } from "./config/variables.ts";
import type { Variable } from "./config/variables/variable.ts";
import { bulkRoutes } from "./data/bulk-routes.ts";
import type { Identity, SessionStatus } from "./identity/identity.ts";
import { Committer } from "./data/commit.ts";
import { dataRoutes } from "./data/routes.ts";
import { transferRoutes } from "./data/transfer-routes.ts";
import type { FileSettings } from "./files/file-settings.ts";
import type { FileStorage } from "./files/file-storage.ts";
import { createFiles } from "./files/files.ts";
import { LateWatchdog } from "./functions/late-watchdog.ts";
import { LiveCalls } from "./functions/live-calls.ts";
import { functionRoutes } from "./functions/routes.ts";
import { scheduledCall } from "./functions/scheduler.ts";
import { Runner } from "./functions/runner.ts";
import { ConnectionLimit } from "./http/connection-limit.ts";
import { DevHosts } from "./http/dev-hosts.ts";
import { Dispatcher } from "./http/dispatcher.ts";
import type { ListenerServices } from "./http/listener.ts";
import { Origins } from "./http/origins.ts";
import { TokenGuesses } from "./http/token-guesses.ts";
import { Jobs } from "./jobs/jobs.ts";
import { jobRoutes } from "./jobs/routes.ts";
import { DevMailbox } from "./mail/dev-mailbox.ts";
import { mailboxRoutes } from "./mail/mailbox-routes.ts";
import type { Mailer } from "./mail/mailer.ts";
import type { MailCounts } from "./mail/open-mailer.ts";
import { Maintenance } from "./maintenance.ts";
import { EventLoopDelay } from "./observe/event-loop.ts";
import { healthParts } from "./monitoring/health-parts.ts";
import { Health } from "./monitoring/health.ts";
import { logRoutes } from "./monitoring/log-routes.ts";
import type { Log } from "./observe/log.ts";
import { Metrics, type LiveFigures } from "./observe/metrics.ts";
import { observeRoutes } from "./monitoring/routes.ts";
import type { Telemetry } from "./observe/telemetry.ts";
import { Tracing } from "./observe/tracing.ts";
import type { Platform } from "./platform.ts";
import { RateLimiter, type SharedCount } from "./request/rate-limit.ts";
import { requestReader } from "./request/reading.ts";
import type { Route } from "./request/route.ts";
import { Transfers } from "./request/transfers.ts";
import { ClientMessages } from "./rooms/client-messages.ts";
import { MemoryRoomStore } from "./rooms/memory/memory-room-store.ts";
import { PostgresRooms } from "./rooms/postgres/postgres-rooms.ts";
import { RedisRooms } from "./rooms/redis/redis-rooms.ts";
import type { RoomTimes } from "./rooms/room-store.ts";
import { Rooms } from "./rooms/rooms.ts";
import { roomRoutes } from "./rooms/routes.ts";
import type { RoomBackend } from "./rooms/shared/room-backend.ts";
import { SharedRoomStore } from "./rooms/shared/shared-room-store.ts";
import { shardRoutes } from "./shards/routes.ts";
import { watchShardSessions } from "./shards/session-watch.ts";
import { ShardStorage } from "./shards/shard-storage.ts";
import { Shards } from "./shards/shards.ts";
import type { Store } from "./store/store.ts";
import { Feed } from "./sync/feed.ts";
import { syncRoutes } from "./sync/routes.ts";
import { SessionWatch } from "./sync/session-watch.ts";
import { ADVANCE_JOB } from "./workflows/advance-job.ts";
import { workflowRoutes } from "./workflows/routes.ts";
import { Workflows } from "./workflows/workflows.ts";

/** What a server is put together from, beside its store and its app. */
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
}

/** The app that is served: a new version takes its place while the server runs. */
export interface CurrentApp {
  current: CompiledApp;
}

/** What a running server starts, asks and stops. */
export interface ServerParts {
  readonly feed: Feed;
  /** Null where none is configured. */
  readonly redis: Redis | null;
  readonly rooms: Rooms;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly loop: EventLoopDelay;
  readonly watchdog: LateWatchdog;
  readonly maintenance: Maintenance;
  readonly jobs: Jobs;
  readonly shards: Shards;
  /** Begins to run jobs. */
  readonly startJobs: () => Promise<void>;
  /** What the ports hand their requests to. */
  readonly services: ListenerServices;
  /** Closes the connections of sessions that end. */
  readonly watchSessions: () => SessionWatch;
  /** The same for those to shards. @returns an unsubscribe function */
  readonly watchShardSessions: () => () => void;
}

/** How long a function may hold the thread up beyond its time, in milliseconds. */
const WATCHDOG_GRACE_MS = 5_000;

/** What most parts need. */
interface Base {
  readonly store: Store;
  readonly app: CurrentApp;
  readonly options: RunningOptions;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly committer: Committer;
  readonly data: Parameters<typeof dataRoutes>[0];
  readonly redis: Redis | null;
  readonly jobs: Jobs;
  readonly workflows: Workflows;
  readonly limiters: { readonly address: RateLimiter; readonly function: RateLimiter };
}

/** Puts a server together: the only place where all parts meet. Nothing is started yet. */
export function assemble(store: Store, app: CurrentApp, options: RunningOptions): ServerParts {
  const { config, log, platform } = options;
  const startedAt = platform.monotonic();
  const uptimeMs = (): number => platform.monotonic() - startedAt;
  // What is scraped is asked of parts that are made after what counts.
  const metrics: Metrics = new Metrics(() =>
    figuresOf(base, { uptimeMs, feed, health, loop, shards, signIns: auth.signIns }),
  );
  const base = baseOf(store, app, options, metrics);
  const feed = feedOf(base, (identity) => statusOf(identity, auth));
  const auth = authOf(base);
  const { rooms, backend } = roomsOf(base, feed);
  const health = new Health(
    healthParts({ store, feed, storage: options.files.storage, backend, log }),
    platform,
  );
  const loop = new EventLoopDelay(platform);
  const limitMs = config.fnTimeoutMs + WATCHDOG_GRACE_MS;
  const watchdog = new LateWatchdog({ limitMs, platform });
  const files = filesOf(base);
  const runner = runnerOf(base, watchdog);
  const storage = new ShardStorage(store, platform, platform.uuid());
  const shards = shardsOf(base, auth, storage, watchdog);
  const connections = new ConnectionLimit(config.maxConnectionsPerAddress);
  feed.serveFunctions(new LiveCalls(runner, base.limiters.function), platform);
  const routes = [
    ...observeRoutes(health, metrics, uptimeMs),
    ...routesOf(base, auth, runner, rooms),
    ...shardRoutes(shards, connections),
    ...files.routes,
  ];
  return {
    feed,
    redis: base.redis,
    rooms,
    health,
    metrics,
    loop,
    watchdog,
    maintenance: maintenanceOf(base, auth, files, storage),
    jobs: base.jobs,
    shards,
    startJobs: () => startJobs(base, runner, watchdog),
    services: { ...servicesOf(base, auth, feed, rooms), routes, shards, connections },
    watchSessions: () => new SessionWatch(feed, auth.sessions, auth.apiKeys, platform),
    watchShardSessions: () => watchShardSessions(shards, auth.sessions, auth.apiKeys),
  };
}

function baseOf(store: Store, app: CurrentApp, options: RunningOptions, metrics: Metrics): Base {
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
  const jobs = new Jobs(store, platform);
  jobs.declare(app.current.manifest);
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
    jobs,
    workflows: new Workflows({
      store,
      jobs,
      platform,
      definitions: () => app.current.workflows,
      timeoutMs: config.fnTimeoutMs,
    }),
    limiters: {
      address: new RateLimiter(config.rateLimit, sharedCount(redis, "address")),
      function: new RateLimiter(config.fnRateLimit, sharedCount(redis, "function")),
    },
  };
}

function redisOf({ current }: CurrentApp, { config, log, platform }: RunningOptions): Redis | null {
  if (config.redisUrl === null) return null;
  const namespace = `pylon:${encodeURIComponent(current.manifest.name)}`.replaceAll("'", "%27");
  return new Redis(config.redisUrl, log, config.redisNamespace ?? namespace, platform);
}

function sharedCount(redis: Redis | null, name: string): SharedCount | null {
  return redis === null ? null : { redis, name };
}

function feedOf(
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

type AuthParts = ReturnType<typeof createAuth>;

function authOf({ store, app, options, committer, data }: Base): AuthParts {
  const { config, log, platform, mailer, oauthEndpoints } = options;
  return createAuth({
    ...config,
    store,
    reader: data.reader,
    committer,
    model: data.model,
    platform,
    mailer,
    oauthEndpoints,
    manifest: () => app.current.manifest,
    code: () => app.current.authCode,
    trustedOrigins: [
      ...config.trustedOrigins,
      ...config.corsOrigins.filter((origin) => origin !== "*"),
    ],
    onError: (message, error) => log.error(message, error),
  });
}

async function statusOf(
  { sessionId, caller }: Identity,
  { sessions, apiKeys }: AuthParts,
): Promise<SessionStatus> {
  if (sessionId !== null) return sessions.sessionStatus(sessionId, caller);
  return caller.apiKeyId === null ? "valid" : apiKeys.sessionStatus(caller.apiKeyId);
}

function roomsOf(
  { store, app, options, redis }: Base,
  feed: Feed,
): { readonly rooms: Rooms; readonly backend: RoomBackend | null } {
  const { log, platform, roomTimes: times } = options;
  const replica = createIdFactory(platform.now, platform.random)();
  const backend = roomBackend(redis, store, { times, replica, log });
  const rooms = new Rooms({
    connections: feed.connections,
    createStore: (deliver) => {
      const common = { deliver, times, platform };
      return backend === null
        ? new MemoryRoomStore(common)
        : new SharedRoomStore({ ...common, backend, log });
    },
    rules: () => app.current.rooms,
    rows: store,
    platform,
    onError: (error) => log.error("rooms failed", error),
  });
  return { rooms, backend };
}

/** What the replicas share their rooms through; null for a server that is the only one. */
function roomBackend(
  redis: Redis | null,
  { link }: Store,
  own: { readonly times: RoomTimes; readonly replica: string; readonly log: Log },
): RoomBackend | null {
  const { times, replica, log } = own;
  if (redis !== null) return new RedisRooms(redis, times, replica);
  return link === null ? null : new PostgresRooms(link, times, replica, log);
}

function runnerOf(
  { store, app, options, metrics, committer, data, redis, jobs, workflows }: Base,
  watchdog: LateWatchdog,
): Runner {
  const { config, env, log, platform } = options;
  return new Runner({
    queue: jobs,
    workflows,
    store,
    committer,
    model: data.model,
    functions: () => app.current.functions,
    platform,
    env: withoutOwnSecrets(env),
    cache: new FunctionCache(
      redis === null ? new MemoryCache(platform.now) : new RedisCache(redis),
    ),
    timeoutMs: config.fnTimeoutMs,
    dev: config.dev,
    observer: {
      started: (name) => watchdog.running(name),
      ended: (name, type, outcome, durationMs) => {
        watchdog.running(null);
        metrics.functionCall(name, type, outcome, durationMs);
      },
      failed: (name, requestId, error) =>
        log.error("function failed", error, { function: name, request_id: requestId }),
    },
  });
}

function startJobs(
  { app, options, metrics, jobs, workflows, tracing }: Base,
  runner: Runner,
  watchdog: LateWatchdog,
): Promise<void> {
  const { config, log } = options;
  return jobs.start({
    runner,
    watched: () => watchdog.ready(),
    traced: ({ trace, queue, attempts }, run) =>
      tracing.job({ trace, queue, attempt: attempts }, run),
    functions: () => app.current.functions,
    tasks: new Map([[ADVANCE_JOB, workflows.task(runner)]]),
    concurrency: config.jobsConcurrency,
    timeoutMs: config.fnTimeoutMs,
    observer: {
      ended: (job, outcome, ms) => metrics.job(job.queue, outcome, ms),
      died: ({ id, name, queue }) => {
        metrics.jobDied();
        log.warn("job is dead", { job: id, name, queue });
      },
      failed: (error) => log.error("jobs failed", error),
    },
  });
}

function shardsOf(
  { app, options, metrics, jobs }: Base,
  auth: AuthParts,
  storage: ShardStorage,
  watchdog: LateWatchdog,
): Shards {
  const { log, platform } = options;
  const failed = (message: string, shard: string, error: unknown): void =>
    log.error(message, error, { shard });
  return new Shards({
    definitions: () => app.current.shards,
    storage,
    platform,
    sessionStatus: (identity) => statusOf(identity, auth),
    observer: {
      during: (name, work) => watchdog.during(name, work),
      stepped: (name, ms, sent) => metrics.shardStep(name, ms, sent),
      overran: (name) => metrics.shardOverrun(name),
      throttled: (shard, ms) => log.warn("shard is too slow", { shard, step_ms: Math.round(ms) }),
      input: (name, outcome) => metrics.shardInput(name, outcome),
      leftOut: (name) => metrics.shardLeftOut(name),
      failed: (id, where, error) => failed(`shard failed in ${where}`, id, error),
      broke: failed,
      schedule: (id, { name, args }) => {
        const call = Promise.try(() => scheduledCall(platform.now, name, 0, args));
        void call
          .then((ready) => jobs.addOne(ready))
          .catch((error: unknown) => failed("shard could not schedule a call", id, error));
      },
    },
  });
}

type FileParts = ReturnType<typeof createFiles>;

function filesOf({ store, options, data }: Base): FileParts {
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
  });
}

function routesOf(
  { store, app, options, metrics, data, jobs, workflows, limiters }: Base,
  { routes, authenticator }: AuthParts,
  runner: Runner,
  rooms: Rooms,
): Route[] {
  const { config, log, mailer, platform } = options;
  const functions = (): CompiledApp["functions"] => app.current.functions;
  return [
    ...logRoutes(log.tail),
    ...manifestRoutes(() => app.current.manifest),
    ...routes,
    ...dataRoutes(data),
    ...bulkRoutes(data),
    ...transferRoutes(data),
    ...syncRoutes(data, metrics),
    ...functionRoutes(runner, functions, limiters.function, async (request) => {
      const { caller } = await authenticator.identifyBearer(request);
      return caller;
    }),
    ...jobRoutes(jobs, functions, platform.now),
    ...workflowRoutes({
      workflows,
      definitions: () => app.current.workflows,
      store,
      wake: () => jobs.wake([0]),
      timeoutMs: config.fnTimeoutMs,
    }),
    ...roomRoutes({ rooms: rooms.store, guard: rooms.guard, reader: data.reader, platform }),
    ...(mailer instanceof DevMailbox ? mailboxRoutes(mailer) : []),
  ];
}

function servicesOf(
  base: Base,
  auth: AuthParts,
  feed: Feed,
  rooms: Rooms,
): Omit<ListenerServices, "routes" | "shards" | "connections"> {
  const { app, options } = base;
  const { config, log, mailer, platform } = options;
  const peerMessages = new ClientMessages(
    (message) => rooms.store.send(message),
    (userId) =>
      app.current.manifest.peerMessages === "tenant"
        ? null
        : [...rooms.store.localRooms(userId)].filter((room) =>
            app.current.rooms.membersMaySend(room),
          ),
    platform.monotonic,
    (error) => log.error("relay failed", error),
  );
  return {
    dispatcher: dispatcherOf(base, auth),
    feed,
    platform,
    messages: {
      receive: (subscriber, text) => {
        if (!feed.receive(subscriber, text)) peerMessages.receive(subscriber, text);
      },
    },
    page: createPage(() => app.current, {
      home: config.dev ? { hasMailbox: mailer instanceof DevMailbox } : null,
      onBroken: ({ message }) => log.error(message),
    }),
  };
}

function dispatcherOf(
  { options, metrics, tracing, redis, limiters }: Base,
  { authenticator }: AuthParts,
): Dispatcher {
  const { config, log, platform } = options;
  return new Dispatcher({
    dev: config.dev,
    devHosts: config.dev
      ? new DevHosts([
          ...config.devHosts,
          ...(config.publicUrl === null ? [] : [new URL(config.publicUrl).hostname]),
        ])
      : null,
    trustedHops: config.trustProxyHops,
    hstsMaxAge: config.hstsMaxAge,
    authenticator,
    origins: new Origins(config.corsOrigins, config),
    limiter: limiters.address,
    guesses: new TokenGuesses(log, sharedCount(redis, "wrong-token")),
    bodies: new Transfers(config.maxBytesInFlight, platform),
    answers: new Transfers(config.maxBytesInFlight, platform),
    log,
    metrics,
    tracing,
    platform,
    accessLog: config.accessLog,
  });
}

function maintenanceOf(
  { store, options, jobs, workflows }: Base,
  auth: AuthParts,
  { cleanup }: FileParts,
  shards: ShardStorage,
): Maintenance {
  const { config, log, platform } = options;
  return new Maintenance({
    store,
    auth,
    files: cleanup,
    jobs,
    workflows,
    shards,
    platform,
    changeLogMax: config.changeLogMax,
    onError: (error) => log.error("maintenance failed", error),
  });
}

/** What the metrics ask of the parts when they are scraped. */
function figuresOf(
  { store, options, redis, limiters, jobs }: Base,
  parts: Pick<ServerParts, "feed" | "health" | "loop" | "shards"> & {
    readonly uptimeMs: () => number;
    readonly signIns: AuthParts["signIns"];
  },
): LiveFigures {
  const { files, mails, platform, telemetry, version } = options;
  const { feed, health, loop, shards, signIns, uptimeMs } = parts;
  return {
    version,
    startedAtSeconds: Math.round((platform.now() - uptimeMs()) / 1000),
    uptimeSeconds: () => uptimeMs() / 1000,
    connections: () => feed.byTransport(),
    feed: () => feed.stats(),
    store: () => store.stats(),
    parts: async () => {
      const report = await health.report();
      return Object.fromEntries(
        Object.entries(report.parts).map(([name, state]) => [name, state === "up" ? 1 : 0]),
      );
    },
    redis: () => redis?.counts ?? {},
    storage: () => files.storage.counts(),
    mails: () => ({ ...mails }),
    rateLimited: () => ({ address: limiters.address.refused, function: limiters.function.refused }),
    signIns: () => signIns,
    shards: () => shards.stats(),
    // While the database can't be asked, nothing is known of them; `pylon_part_up` tells of it.
    lateCrons: () => jobs.crons.late().catch(() => ({})),
    telemetry: () => telemetry?.counts() ?? [],
    loop,
  };
}

/** Functions see the environment, but not what opens the server itself. */
function withoutOwnSecrets(env: RunningOptions["env"]): RunningOptions["env"] {
  const secrets = new Set(
    Object.entries(VARIABLES).flatMap(([name, variable]: [string, Variable<unknown>]) =>
      variable.secret === true ? [name] : [],
    ),
  );
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !secrets.has(name) && !isOAuthSecret(name)),
  );
}
