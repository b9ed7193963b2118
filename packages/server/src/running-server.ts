import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { createIdFactory } from "@pylonsync/protocol";
import type { CompiledApp } from "./app/compile-app.ts";
import { createPage } from "./app/page.ts";
import { manifestRoutes } from "./app/routes.ts";
import { isOAuthSecret } from "./config/oauth-variables.ts";
import { VARIABLES } from "./config/variables.ts";
import type { Variable } from "./config/variables/variable.ts";
import { createAuth, type AuthOptions } from "./auth/auth.ts";
import { FunctionCache } from "./cache/function-cache.ts";
import { MemoryCache } from "./cache/memory-cache.ts";
import { RedisCache } from "./cache/redis-cache.ts";
import { Redis } from "./cache/redis.ts";
import type { Config } from "./config/config.ts";
import { bulkRoutes } from "./data/bulk-routes.ts";
import type { Identity, SessionStatus } from "./identity/identity.ts";
import { Committer } from "./data/commit.ts";
import { dataRoutes } from "./data/routes.ts";
import { transferRoutes } from "./data/transfer-routes.ts";
import type { FileSettings } from "./files/file-settings.ts";
import type { FileStorage } from "./files/file-storage.ts";
import { createFiles } from "./files/files.ts";
import { functionRoutes } from "./functions/routes.ts";
import { Runner } from "./functions/runner.ts";
import { Watchdog } from "./functions/watchdog.ts";
import { ConnectionLimit } from "./http/connection-limit.ts";
import { DevHosts } from "./http/dev-hosts.ts";
import { Dispatcher } from "./http/dispatcher.ts";
import { listen, type BunServer, type PortPurpose } from "./http/listener.ts";
import { Origins } from "./http/origins.ts";
import { TokenGuesses } from "./http/token-guesses.ts";
import { DevMailbox } from "./mail/dev-mailbox.ts";
import { mailboxRoutes } from "./mail/mailbox-routes.ts";
import type { Mailer } from "./mail/mailer.ts";
import type { MailCounts } from "./mail/open-mailer.ts";
import { Jobs } from "./jobs/jobs.ts";
import { jobRoutes } from "./jobs/routes.ts";
import { Maintenance } from "./maintenance.ts";
import type { Log } from "./observe/log.ts";
import { EventLoopDelay } from "./observe/event-loop.ts";
import { healthParts } from "./monitoring/health-parts.ts";
import { Health } from "./monitoring/health.ts";
import { Metrics } from "./observe/metrics.ts";
import { Tracing } from "./observe/tracing.ts";
import type { Telemetry } from "./observe/telemetry.ts";
import { logRoutes } from "./monitoring/log-routes.ts";
import { observeRoutes } from "./monitoring/routes.ts";
import type { Platform } from "./platform.ts";
import { requestReader } from "./request/reading.ts";
import type { RouteSummary } from "./request/route.ts";
import { RateLimiter, type SharedCount } from "./request/rate-limit.ts";
import { Transfers } from "./request/transfers.ts";
import type { SocketMessages } from "./connections/websocket.ts";
import { ClientMessages } from "./rooms/client-messages.ts";
import { MemoryRoomStore } from "./rooms/memory-room-store.ts";
import { PostgresRooms } from "./rooms/postgres-rooms.ts";
import { RedisRooms } from "./rooms/redis-rooms.ts";
import type { RoomBackend } from "./rooms/room-backend.ts";
import { ROOM_TIMES } from "./rooms/room-store.ts";
import { Rooms } from "./rooms/rooms.ts";
import { roomRoutes } from "./rooms/routes.ts";
import { SharedRoomStore } from "./rooms/shared-room-store.ts";
import { shardRoutes } from "./shards/routes.ts";
import { PylonStartError } from "./start-error.ts";
import type { Store } from "./store/store.ts";
import { Feed } from "./sync/feed.ts";
import { SessionWatch } from "./sync/session-watch.ts";
import { syncRoutes } from "./sync/routes.ts";
import { errorCode } from "./util/errors.ts";

export interface RunningOptions {
  readonly oauthEndpoints: AuthOptions["oauthEndpoints"];
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

const WATCHDOG_DELAY_MS = 1_000;
const WATCHDOG_GRACE_MS = 5_000;
/**
 * How long the start waits for what the rooms are shared through, in milliseconds; the server
 * serves without it too.
 */
const SHARED_START_MS = 1_000;
/** What telemetry gets to send its last, in milliseconds, when the drain has used its time up. */
const MIN_FLUSH_MS = 500;
/**
 * What the store gets to end what is under way, in milliseconds, when the drain has used its time
 * up.
 */
const MIN_CLOSE_MS = 1_000;
/**
 * Without a proxy of ours in front: after how many silent seconds a connection is closed, and the
 * most that Bun can be told.
 */
const IDLE_SECONDS = 120;
const MAX_IDLE_SECONDS = 255;

/** Everything of a server that is up, put together: the only place where the parts meet. */
export class RunningServer {
  readonly store: Store;
  readonly #storage: FileStorage;
  readonly #config: Config;
  readonly #log: Log;
  readonly #feed: Feed;
  readonly #redis: Redis | null;
  readonly #rooms: Rooms;
  readonly #jobs: Jobs;
  readonly #startJobs: () => Promise<void>;
  readonly maintenance: Maintenance;
  readonly routes: readonly RouteSummary[];
  readonly #listen: (purpose: PortPurpose, port: number) => BunServer;
  readonly #startWatch: () => void;
  readonly #listeners: BunServer[] = [];
  readonly #dispatcher: Dispatcher;
  #stops: (() => void)[] = [];
  #app: CompiledApp;
  readonly #health: Health;
  readonly #loop = new EventLoopDelay();
  readonly #telemetry: Telemetry | null;
  readonly #metrics: Metrics;

  constructor(
    store: Store,
    app: CompiledApp,
    {
      config,
      env,
      log,
      platform,
      mailer,
      mails,
      telemetry,
      version,
      oauthEndpoints,
      files: { settings, storage },
    }: RunningOptions,
  ) {
    const { now } = platform;
    const startedAt = performance.now();
    const uptimeMs = (): number => performance.now() - startedAt;
    this.store = store;
    this.#storage = storage;
    this.#app = app;
    this.#config = config;
    this.#log = log;

    const model = (): CompiledApp["model"] => this.#app.model;
    const functions = (): CompiledApp["functions"] => this.#app.functions;
    const tracing = new Tracing(telemetry?.recorder ?? null);
    const committer = new Committer(
      store,
      model,
      platform,
      (outcome, ms) => metrics.commit(outcome, ms),
      config.maxRowBytes,
    );
    const sessionStatus = async ({ sessionId, caller }: Identity): Promise<SessionStatus> => {
      if (sessionId !== null) return sessions.sessionStatus(sessionId, caller);
      return caller.apiKeyId === null ? "valid" : apiKeys.sessionStatus(caller.apiKeyId);
    };
    const feed = new Feed(store, app.model, now, sessionStatus, config.queryTimeoutMs, {
      failed: (error) => log.error("feed failed", error),
      delivered: (lagMs) => metrics.delivered(lagMs),
      traced: (changes, subscribers, deliver) => tracing.delivery(changes, subscribers, deliver),
    });
    const reader = requestReader(store, config.queryTimeoutMs);
    const { sessions, apiKeys, authenticator, signIns, ...auth } = createAuth({
      ...config,
      store,
      reader,
      committer,
      model,
      platform,
      mailer,
      oauthEndpoints,
      manifest: () => this.#app.manifest,
      code: () => this.#app.authCode,
      trustedOrigins: [
        ...config.trustedOrigins,
        ...config.corsOrigins.filter((origin) => origin !== "*"),
      ],
      onError: (message, error) => log.error(message, error),
    });
    const redis =
      config.redisUrl === null
        ? null
        : new Redis(
            config.redisUrl,
            log,
            config.redisNamespace ??
              `pylon:${encodeURIComponent(app.manifest.name)}`.replaceAll("'", "%27"),
          );
    const shared = (name: string): SharedCount | null => (redis === null ? null : { redis, name });
    const limiter = new RateLimiter(config.rateLimit, shared("address"));
    const fnLimiter = new RateLimiter(config.fnRateLimit, shared("function"));
    const backend = roomBackend(redis, store, createIdFactory(now, platform.random)(), log);
    const rooms = new Rooms({
      connections: feed.connections,
      createStore: (deliver) => {
        if (backend === null) return new MemoryRoomStore(deliver, ROOM_TIMES, now);
        return new SharedRoomStore({ backend, deliver, times: ROOM_TIMES, now, log });
      },
      onError: (error) => log.error("rooms failed", error),
    });
    this.#redis = redis;
    this.#rooms = rooms;
    const health = new Health(healthParts({ store, feed, storage, backend, log }));
    const metrics: Metrics = new Metrics({
      version,
      uptimeSeconds: () => uptimeMs() / 1000,
      connections: () => feed.byTransport(),
      feed: () => feed.stats(),
      store: () => store.stats(),
      parts: async () =>
        Object.fromEntries(
          Object.entries((await health.report()).parts).map(([name, state]) => [
            name,
            state === "up" ? 1 : 0,
          ]),
        ),
      redis: () => redis?.counts ?? {},
      storage: () => storage.counts(),
      mails: () => ({ ...mails }),
      rateLimited: () => ({ address: limiter.refused, function: fnLimiter.refused }),
      signIns: () => signIns,
      telemetry: () => telemetry?.counts() ?? [],
      loop: this.#loop,
    });
    this.#health = health;
    this.#telemetry = telemetry;
    this.#metrics = metrics;
    let watchdog: Watchdog | null = null;
    const jobs = new Jobs(store, platform);
    jobs.declareCrons(app.manifest.crons ?? []);
    const runner = new Runner({
      queue: jobs,
      store,
      committer,
      model,
      functions,
      platform,
      env: withoutOwnSecrets(env),
      cache: new FunctionCache(redis === null ? new MemoryCache(now) : new RedisCache(redis)),
      timeoutMs: config.fnTimeoutMs,
      dev: config.dev,
      observer: {
        started: (name) => watchdog?.running(name),
        ended: (name, type, outcome, durationMs) => {
          watchdog?.running(null);
          metrics.functionCall(name, type, outcome, durationMs);
        },
        failed: (name, requestId, error) =>
          log.error("function failed", error, { function: name, request_id: requestId }),
      },
    });
    const data = { store, committer, model, platform, reader };
    const files = createFiles({
      store,
      reader,
      storage,
      settings,
      model,
      platform,
      log,
      trustsProxy: config.trustProxyHops > 0,
    });
    const routes = [
      ...observeRoutes(health, metrics, uptimeMs),
      ...logRoutes(log.tail),
      ...manifestRoutes(() => this.#app.manifest),
      ...auth.routes,
      ...dataRoutes(data),
      ...bulkRoutes(data),
      ...transferRoutes(data),
      ...syncRoutes(data, metrics),
      ...functionRoutes(runner, functions, fnLimiter, async (request) => {
        const { caller } = await authenticator.identifyBearer(request);
        return caller;
      }),
      ...jobRoutes(jobs, functions, now),
      ...roomRoutes(rooms.store),
      ...shardRoutes(),
      ...files.routes,
      ...(mailer instanceof DevMailbox ? mailboxRoutes(mailer) : []),
    ];
    this.routes = routes.map(({ method, path, body = "none" }) => ({ method, path, body }));
    const dispatcher = new Dispatcher({
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
      limiter,
      guesses: new TokenGuesses(log, shared("wrong-token")),
      bodies: new Transfers(config.maxBytesInFlight),
      answers: new Transfers(config.maxBytesInFlight),
      log,
      metrics,
      tracing,
      accessLog: config.accessLog,
    });
    this.#dispatcher = dispatcher;
    const connections = new ConnectionLimit(config.maxConnectionsPerAddress);
    const clientMessages = new ClientMessages(
      (message) => rooms.store.send(message),
      (userId) =>
        this.#app.manifest.peerMessages === "tenant" ? null : [...rooms.store.localRooms(userId)],
      () => performance.now(),
      (error) => log.error("relay failed", error),
    );
    const messages: SocketMessages = {
      receive: (subscriber, text) => {
        if (!feed.receive(subscriber, text)) clientMessages.receive(subscriber, text);
      },
    };
    const page = createPage(() => this.#app, {
      home: config.dev ? { hasMailbox: mailer instanceof DevMailbox } : null,
      onBroken: ({ message }) => log.error(message),
    });
    this.#listen = (purpose, port) =>
      listen(
        purpose,
        { ...config, port, idleSeconds: idleSecondsOf(config) },
        { dispatcher, feed, connections, messages, routes, page },
      );
    this.#feed = feed;
    this.#jobs = jobs;
    this.#startJobs = () =>
      jobs.start({
        runner,
        functions,
        concurrency: config.jobsConcurrency,
        timeoutMs: config.fnTimeoutMs,
        observer: {
          ended: (job, outcome, ms) => metrics.job(job.queue, outcome, ms),
          failed: (error) => log.error("jobs failed", error),
        },
      });
    this.maintenance = new Maintenance({
      store,
      jobs,
      auth,
      files: files.cleanup,
      now,
      changeLogMax: config.changeLogMax,
      onError: (error) => log.error("maintenance failed", error),
    });
    this.#startWatch = () => {
      // A second thread costs more than the whole start; it is only needed once functions run.
      const timer = setTimeout(() => {
        watchdog = new Watchdog({ limitMs: config.fnTimeoutMs + WATCHDOG_GRACE_MS });
      }, WATCHDOG_DELAY_MS);
      timer.unref();
      const watch = new SessionWatch(feed, sessions, apiKeys, now);
      this.#stops.push(
        () => clearTimeout(timer),
        () => watchdog?.stop(),
        () => watch.stop(),
      );
    };
  }

  get manifest(): CompiledApp["manifest"] {
    return this.#app.manifest;
  }

  get port(): number {
    return this.#listeners[0]?.port ?? this.#config.port;
  }

  async open(): Promise<void> {
    const config = this.#config;
    await this.#feed.start();
    if (this.#redis !== null) await this.#redis.start(SHARED_START_MS);
    else await this.store.link?.start(SHARED_START_MS);
    await this.#rooms.start();
    try {
      this.#open("all", config.port);
      if (config.extraPorts && config.port !== 0) {
        this.#open("websocket", config.port + 1);
        this.#open("sse", config.port + 2);
        this.#open("shards", config.port + 3);
      }
    } catch (error) {
      await this.#rooms.stop();
      this.#redis?.close();
      throw error;
    }
    this.maintenance.start();
    await this.#startJobs();
    this.#loop.start();
    this.#telemetry?.start(this.#metrics);
    this.#startWatch();
    this.#log.info("listening", { port: this.port, dev: config.dev });
    // What does not work from the first moment is in the log, also where nothing asks for it.
    void this.#health.report();
  }

  /**
   * Takes a new version of the app, whose schema the database has already: rules and functions at
   * once.
   */
  replace(app: CompiledApp): void {
    const isSameData =
      JSON.stringify([app.manifest.policies, app.manifest.access]) ===
      JSON.stringify([this.#app.manifest.policies, this.#app.manifest.access]);
    this.#app = app;
    this.#jobs.declareCrons(app.manifest.crons ?? []);
    this.#feed.setModel(app.model, isSameData);
  }

  /** Counts a backup that was made of its data, or that failed. */
  countBackup(outcome: "made" | "failed"): void {
    this.#metrics.backup(outcome);
  }

  /**
   * Says that it goes, and serves on for long enough that a load balancer sees it and sends nothing
   * more.
   */
  async beginDrain(): Promise<void> {
    this.#announce();
    await Bun.sleep(this.#config.drainDelaySeconds * 1000);
  }

  async close(): Promise<void> {
    const drained = performance.now() + this.#config.drainSeconds * 1000;
    const leftMs = (least = 0): number => Math.max(least, drained - performance.now());
    this.#announce();
    this.#loop.stop();
    this.maintenance.stop();
    this.#rooms.beginStop();
    // First nobody gets in any more: who is sent away must not come back to here.
    const answered = Promise.all(this.#listeners.map((listener) => listener.stop()));
    this.#feed.closeAll();
    this.#log.tail.close();
    const jobsDone = this.#jobs.stop(leftMs());
    await within(answered, leftMs());
    await Promise.all(this.#listeners.map((listener) => listener.stop(true)));
    await jobsDone;
    for (const stop of this.#stops) stop();
    await this.#rooms.stop();
    this.#redis?.close();
    this.#feed.stop();
    this.#storage.close();
    await within(this.store.close(), leftMs(MIN_CLOSE_MS));
    const { database } = this.#config;
    if (database.kind === "sqlite" && database.isTemporary)
      rmSync(dirname(database.path), { recursive: true, force: true });
    this.#log.info("stopped");
    await this.#telemetry?.stop(leftMs(MIN_FLUSH_MS));
  }

  #announce(): void {
    this.#health.stop();
    this.#dispatcher.beginDrain();
  }

  #open(purpose: PortPurpose, port: number): void {
    try {
      this.#listeners.push(this.#listen(purpose, port));
    } catch (error) {
      for (const listener of this.#listeners) void listener.stop(true);
      throw listenError(error, this.#config, purpose, port);
    }
  }
}

/** What each port beside the main one is for, as messages name it. */
const EXTRA_PORTS: Readonly<Record<Exclude<PortPurpose, "all">, string>> = {
  websocket: "+ 1, for WebSockets",
  sse: "+ 2, for event streams",
  shards: "+ 3, for shards",
};

/** What a host that can't be listened on is answered with: a name that is unknown has ENOENT. */
const BAD_HOST: ReadonlySet<string> = new Set(["EADDRNOTAVAIL", "EINVAL", "ENOENT", "ENOTFOUND"]);

/** Why a port does not open, in a sentence where it is for the operator to fix. */
function listenError(error: unknown, config: Config, purpose: PortPurpose, port: number): unknown {
  const code = errorCode(error);
  if (code === "EADDRINUSE")
    return new PylonStartError(
      purpose === "all"
        ? `Port ${port} is in use: stop what listens there, or choose another with --port or PYLON_PORT.`
        : `Port ${port} is in use: it is the port ${config.port} ${EXTRA_PORTS[purpose]} of older clients. ` +
            "Stop what listens there, choose another with --port or PYLON_PORT, or set " +
            "PYLON_SINGLE_PORT=1 to do without the extra ports.",
    );
  if (code === "EACCES")
    return new PylonStartError(
      `Port ${port} may not be opened by this user: choose one from 1024 on with --port or PYLON_PORT.`,
    );
  if (typeof code === "string" && BAD_HOST.has(code))
    return new PylonStartError(
      `"${config.host}" is not an address of this machine: choose another with --host or PYLON_HOST.`,
    );
  return error;
}

/**
 * A proxy that sends a request on a connection just as we close it answers 502, so behind one the
 * connections are its own. Without one an idle connection is closed, though none whose function may
 * still be at work.
 */
function idleSecondsOf({ trustProxyHops, fnTimeoutMs }: Config): number {
  if (trustProxyHops > 0) return 0;
  return Math.min(MAX_IDLE_SECONDS, Math.max(IDLE_SECONDS, fnTimeoutMs / 1000 + 10));
}

/** What the replicas share their rooms through; null for a server that is the only one. */
function roomBackend(
  redis: Redis | null,
  { link }: Store,
  replica: string,
  log: Log,
): RoomBackend | null {
  if (redis !== null) return new RedisRooms(redis, ROOM_TIMES, replica);
  return link === null ? null : new PostgresRooms(link, ROOM_TIMES, replica, log);
}

/** Waits for the work, but no longer than this. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
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
