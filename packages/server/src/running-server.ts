import { rmSync } from "node:fs";
import { dirname } from "node:path";
import type { CompiledApp } from "./app/compile-app.ts";
import { createPage } from "./app/page.ts";
import { manifestRoutes } from "./app/routes.ts";
import { VARIABLES, type Variable } from "./config/variables.ts";
import { authRoutes } from "./auth/routes.ts";
import { Sessions } from "./auth/sessions.ts";
import type { Config } from "./config.ts";
import { bulkRoutes } from "./data/bulk-routes.ts";
import { Committer } from "./data/commit.ts";
import { dataRoutes } from "./data/routes.ts";
import type { FileSettings } from "./files/file-settings.ts";
import type { FileStorage } from "./files/file-storage.ts";
import { createFiles } from "./files/files.ts";
import { functionRoutes } from "./functions/routes.ts";
import { Runner } from "./functions/runner.ts";
import { Watchdog } from "./functions/watchdog.ts";
import { ConnectionLimit } from "./http/connection-limit.ts";
import { Dispatcher } from "./http/dispatcher.ts";
import { listen, type BunServer, type PortPurpose } from "./http/listener.ts";
import { Origins } from "./http/origins.ts";
import { Maintenance } from "./maintenance.ts";
import type { Log } from "./observe/log.ts";
import { Metrics } from "./observe/metrics.ts";
import { observeRoutes } from "./observe/routes.ts";
import type { Platform } from "./platform.ts";
import { RateLimiter } from "./request/rate-limit.ts";
import { PylonStartError } from "./start-error.ts";
import type { Store } from "./store/store.ts";
import { Feed } from "./sync/feed.ts";
import { SessionWatch } from "./sync/session-watch.ts";
import { syncRoutes } from "./sync/routes.ts";

export interface RunningOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly platform: Platform;
  readonly files: { readonly settings: FileSettings; readonly storage: FileStorage };
}

const DEFAULT_SESSION_S = 30 * 24 * 60 * 60;
const WATCHDOG_DELAY_MS = 1_000;
const WATCHDOG_GRACE_MS = 5_000;

/** Everything of a server that is up, put together: the only place where the parts meet. */
export class RunningServer {
  readonly store: Store;
  readonly #storage: FileStorage;
  readonly #config: Config;
  readonly #log: Log;
  readonly #feed: Feed;
  readonly maintenance: Maintenance;
  readonly #listen: (purpose: PortPurpose, port: number) => BunServer;
  readonly #startWatch: () => void;
  readonly #listeners: BunServer[] = [];
  #stops: (() => void)[] = [];
  #app: CompiledApp;
  #isStopping = false;

  constructor(store: Store, app: CompiledApp, { config, env, log, platform, files: { settings, storage } }: RunningOptions) {
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
    const committer = new Committer(store, model, platform);
    const feed = new Feed(store, app.model, now, (error) => log.error("feed failed", error));
    const sessions = new Sessions(store, platform, config.adminToken);
    const limiter = new RateLimiter(config.rateLimit);
    const metrics = new Metrics({
      uptimeSeconds: () => uptimeMs() / 1000,
      subscribers: () => feed.size,
      logHead: async () => (await store.bounds()).head,
    });
    let watchdog: Watchdog | null = null;
    const runner = new Runner({
      store,
      committer,
      model,
      functions,
      platform,
      env: withoutOwnSecrets(env),
      timeoutMs: config.fnTimeoutMs,
      observer: {
        started: (name) => watchdog?.running(name),
        ended: (name, type, outcome, durationMs) => {
          watchdog?.running(null);
          metrics.functionCall(name, type, outcome, durationMs);
        },
        failed: (name, requestId, error) => log.error("function failed", error, { function: name, request_id: requestId }),
      },
    });
    const data = { store, committer, model, platform };
    const files = createFiles({ store, storage, settings, model, platform, log, trustsProxy: config.trustProxyHops > 0 });
    const sessionLifetimeMs = (): number => (this.#app.manifest.auth?.session?.expiresIn ?? DEFAULT_SESSION_S) * 1000;
    const routes = [
      ...observeRoutes(store, metrics, { uptimeMs, isStopping: () => this.#isStopping }),
      ...manifestRoutes(() => this.#app.manifest),
      ...authRoutes(sessions, platform, sessionLifetimeMs),
      ...dataRoutes(data),
      ...bulkRoutes(data),
      ...syncRoutes(data),
      ...files.routes,
      ...functionRoutes(runner, functions, new RateLimiter(config.fnRateLimit)),
    ];
    const dispatcher = new Dispatcher({
      dev: config.dev,
      trustedHops: config.trustProxyHops,
      sessions,
      origins: new Origins(config.corsOrigins),
      limiter,
      log,
      metrics,
    });
    const connections = new ConnectionLimit(config.maxConnectionsPerAddress);
    const page = createPage(() => this.#app);
    this.#listen = (purpose, port) =>
      listen(purpose, { host: config.host, port, maxFrameBytes: config.maxFrameBytes, sendBufferBytes: config.sendBufferBytes }, { dispatcher, feed, connections, routes, page });
    this.#feed = feed;
    this.maintenance = new Maintenance({ store, sessions, files: files.cleanup, now, changeLogMax: config.changeLogMax, onError: (error) => log.error("maintenance failed", error) });
    this.#startWatch = () => {
      // A second thread costs more than the whole start; it is only needed once functions run.
      const timer = setTimeout(() => {
        watchdog = new Watchdog({ limitMs: config.fnTimeoutMs + WATCHDOG_GRACE_MS });
      }, WATCHDOG_DELAY_MS);
      timer.unref();
      const watch = new SessionWatch(feed, sessions, now);
      this.#stops.push(() => clearTimeout(timer), () => watchdog?.stop(), () => watch.stop());
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
    this.#open("all", config.port);
    if (config.extraPorts && config.port !== 0) {
      this.#open("websocket", config.port + 1);
      this.#open("sse", config.port + 2);
    }
    this.maintenance.start();
    this.#startWatch();
    this.#log.info("listening", { port: this.port, dev: config.dev });
  }

  /** Takes a new version of the app, whose schema the database has already: rules and functions at once. */
  replace(app: CompiledApp): void {
    const isSameData = JSON.stringify([app.manifest.policies, app.manifest.access]) === JSON.stringify([this.#app.manifest.policies, this.#app.manifest.access]);
    this.#app = app;
    this.#feed.setModel(app.model, isSameData);
  }

  async close(): Promise<void> {
    this.#isStopping = true;
    for (const stop of this.#stops) stop();
    this.maintenance.stop();
    this.#feed.closeAll();
    const drained = Promise.all(this.#listeners.map((listener) => listener.stop()));
    await Promise.race([drained, Bun.sleep(this.#config.drainSeconds * 1000)]);
    await Promise.all(this.#listeners.map((listener) => listener.stop(true)));
    this.#feed.stop();
    this.#storage.close();
    await this.store.close();
    const { isTemporary, path } = this.#config.database;
    if (isTemporary) rmSync(dirname(path), { recursive: true, force: true });
    this.#log.info("stopped");
  }

  #open(purpose: PortPurpose, port: number): void {
    try {
      this.#listeners.push(this.#listen(purpose, port));
    } catch (error) {
      for (const listener of this.#listeners) void listener.stop(true);
      if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
        throw new PylonStartError(`Port ${port} is in use: stop what listens there, or choose another with --port or PYLON_PORT.`);
      }
      throw error;
    }
  }
}

/** Functions see the environment, but not what opens the server itself. */
function withoutOwnSecrets(env: RunningOptions["env"]): RunningOptions["env"] {
  const secrets = new Set(Object.entries(VARIABLES).flatMap(([name, variable]: [string, Variable<unknown>]) => (variable.secret === true ? [name] : [])));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secrets.has(name)));
}
