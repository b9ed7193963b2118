import type { Manifest } from "@pylonsync/sdk";
import { compileApp, type CompiledApp } from "./app/compile-app.ts";
import type { LoadedApp } from "./app/load-app.ts";
import { createPage } from "./app/page.ts";
import { authRoutes } from "./auth/routes.ts";
import { Sessions } from "./auth/sessions.ts";
import type { Config } from "./config.ts";
import { bulkRoutes } from "./data/bulk-routes.ts";
import { Committer } from "./data/commit.ts";
import { dataRoutes } from "./data/routes.ts";
import { functionRoutes } from "./functions/routes.ts";
import { Runner } from "./functions/runner.ts";
import { Watchdog } from "./functions/watchdog.ts";
import { ConnectionLimit } from "./http/connection-limit.ts";
import { Dispatcher } from "./http/dispatcher.ts";
import { listen, type BunServer, type PortPurpose } from "./http/listener.ts";
import { Origins } from "./http/origins.ts";
import { Maintenance } from "./maintenance.ts";
import { Log } from "./observe/log.ts";
import { Metrics } from "./observe/metrics.ts";
import { observeRoutes } from "./observe/routes.ts";
import { systemPlatform, type Platform } from "./platform.ts";
import { RateLimiter } from "./request/rate-limit.ts";
import type { Diagnostic } from "./schema/diagnostic.ts";
import { describeStep, planMigration } from "./schema/diff.ts";
import { manifestRoutes } from "./app/routes.ts";
import { PylonStartError } from "./start-error.ts";
import { openSqliteStore } from "./store/sqlite/sqlite-store.ts";
import type { Store } from "./store/store.ts";
import { Feed } from "./sync/feed.ts";
import { SessionWatch } from "./sync/session-watch.ts";
import { syncRoutes } from "./sync/routes.ts";

export interface ServerOptions {
  readonly app: LoadedApp;
  readonly config: Config;
  /** The environment that functions see as `ctx.env`; default none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly platform?: Platform;
}

export interface PylonServer {
  /** Brings the database to the app's schema and opens the ports. @throws PylonStartError */
  start(): Promise<void>;
  /** Answers what is under way, says goodbye to the sockets, closes the database. */
  stop(): Promise<void>;
  /** Serves another version of the app without dropping requests. @returns its diagnostics; with an error among them the old app stays */
  reload(app: LoadedApp): Promise<Diagnostic[]>;
  /** `http://localhost:4321` */
  readonly url: string;
  readonly port: number;
  /** What was found in the app at start. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * A Pylon server for one app.
 *
 * @example
 * const server = createServer({ app: await loadApp("./my-app"), config: loadConfig(process.env) });
 * await server.start();
 */
export function createServer(options: ServerOptions): PylonServer {
  return new Server(options);
}

class Server implements PylonServer {
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #platform: Platform;
  #diagnostics: readonly Diagnostic[] = [];
  #running: Running | null = null;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#platform = options.platform ?? systemPlatform;
    const { logLevel, logFormat } = options.config;
    this.#log = new Log({ level: logLevel, format: logFormat, now: this.#platform.now, write: (line) => process.stderr.write(`${line}\n`) });
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }
  get port(): number {
    return this.#running?.port ?? this.#options.config.port;
  }
  get url(): string {
    return `http://localhost:${this.port}`;
  }

  async start(): Promise<void> {
    const { config } = this.#options;
    const { app, diagnostics } = compileApp(this.#options.app, { dev: config.dev });
    this.#diagnostics = diagnostics;
    if (app === null) throw new PylonStartError(firstError(diagnostics));
    const store = openSqliteStore(config.database.path);
    try {
      await bringTo(store, app.manifest);
      this.#running = new Running(store, app, this.#options, this.#log, this.#platform);
      await this.#running.open();
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = null;
  }

  async reload(loaded: LoadedApp): Promise<Diagnostic[]> {
    const { app, diagnostics } = compileApp(loaded, { dev: this.#options.config.dev });
    if (app === null || this.#running === null) return diagnostics;
    try {
      await this.#running.replace(app);
    } catch (error) {
      if (!(error instanceof PylonStartError)) throw error;
      return [...diagnostics, { severity: "error", code: "MIGRATION_REFUSED", message: error.message }];
    }
    return diagnostics;
  }
}

/** Everything of a server that is up. */
class Running {
  readonly #store: Store;
  readonly #options: ServerOptions;
  readonly #log: Log;
  readonly #feed: Feed;
  readonly #sessions: Sessions;
  readonly #maintenance: Maintenance;
  readonly #listen: (purpose: PortPurpose, port: number) => BunServer;
  readonly #startWatch: () => void;
  readonly #listeners: BunServer[] = [];
  #stops: (() => void)[] = [];
  #app: CompiledApp;
  #isStopping = false;

  constructor(store: Store, app: CompiledApp, options: ServerOptions, log: Log, platform: Platform) {
    const { config } = options;
    const { now } = platform;
    const startedAt = performance.now();
    const uptimeMs = (): number => performance.now() - startedAt;
    this.#store = store;
    this.#app = app;
    this.#options = options;
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
      env: options.env ?? {},
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
    const sessionLifetimeMs = (): number => (this.#app.manifest.auth?.session?.expiresIn ?? DEFAULT_SESSION_S) * 1000;
    const routes = [
      ...observeRoutes(store, metrics, { uptimeMs, isStopping: () => this.#isStopping }),
      ...manifestRoutes(() => this.#app.manifest),
      ...authRoutes(sessions, platform, sessionLifetimeMs),
      ...dataRoutes(data),
      ...bulkRoutes(data),
      ...syncRoutes(data),
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
    this.#sessions = sessions;
    this.#maintenance = new Maintenance({ store, sessions, now, changeLogMax: config.changeLogMax, onError: (error) => log.error("maintenance failed", error) });
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

  get port(): number {
    return this.#listeners[0]?.port ?? this.#options.config.port;
  }

  async open(): Promise<void> {
    const { config } = this.#options;
    await this.#feed.start();
    this.#open("all", config.port);
    if (config.extraPorts && config.port !== 0) {
      this.#open("websocket", config.port + 1);
      this.#open("sse", config.port + 2);
    }
    this.#maintenance.start();
    this.#startWatch();
    this.#log.info("listening", { port: this.port, dev: config.dev });
  }

  /** Takes the new version of the app: schema first, then rules and functions at once. */
  async replace(app: CompiledApp): Promise<void> {
    const isSameData = JSON.stringify([app.manifest.policies, app.manifest.access]) === JSON.stringify([this.#app.manifest.policies, this.#app.manifest.access]);
    await bringTo(this.#store, app.manifest);
    this.#app = app;
    this.#feed.setModel(app.model, isSameData);
  }

  async close(): Promise<void> {
    this.#isStopping = true;
    for (const stop of this.#stops) stop();
    this.#maintenance.stop();
    this.#feed.closeAll();
    const drained = Promise.all(this.#listeners.map((listener) => listener.stop()));
    await Promise.race([drained, Bun.sleep(this.#options.config.drainSeconds * 1000)]);
    await Promise.all(this.#listeners.map((listener) => listener.stop(true)));
    this.#feed.stop();
    await this.#store.close();
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

const DEFAULT_SESSION_S = 30 * 24 * 60 * 60;
const WATCHDOG_DELAY_MS = 1_000;
const WATCHDOG_GRACE_MS = 5_000;

/** Applies what the schema adds. @throws PylonStartError for a change that would lose data or can't be applied */
async function bringTo(store: Store, manifest: Manifest): Promise<void> {
  const stored = await store.storedManifest();
  const { migration, problems, destructive } = planMigration(stored === null ? null : (JSON.parse(stored) as Manifest), manifest);
  const [problem] = problems;
  if (problem !== undefined) throw new PylonStartError(`${problem.message}${problem.hint === undefined ? "" : ` ${problem.hint}`}`);
  if (destructive) {
    const lost = migration.steps.filter((step) => "destructive" in step).map(describeStep).join(", ");
    throw new PylonStartError(`The new schema would lose data (${lost}): run \`pylon migrate apply --allow-destructive\` to do it, or take the change back.`);
  }
  await store.migrate(migration, JSON.stringify(manifest));
}

function firstError(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return "The app is not valid.";
  const where = first.path === undefined ? "" : ` (${first.path})`;
  const more = errors.length > 1 ? ` And ${errors.length - 1} more: see \`pylon doctor\`.` : "";
  return `${first.code}: ${first.message}${where}${first.hint === undefined ? "" : ` ${first.hint}`}${more}`;
}
