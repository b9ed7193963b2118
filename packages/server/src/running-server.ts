import { rmSync } from "node:fs";
import { dirname } from "node:path";
import type { AppProblems } from "./app/app-problem.ts";
import type { CompiledApp } from "./app/compile-app.ts";
import { assemble } from "./assembly/assemble.ts";
import type { ServerParts } from "./assembly/server-parts.ts";
import type { CurrentApp, RunningOptions } from "./assembly/base.ts";
import type { Config } from "./config/config.ts";
import { runDataMigrations } from "./data/data-migrations.ts";
import { drain } from "./http/drain.ts";
import { listenError } from "./http/listen-error.ts";
import { listen, type BunServer, type PortPurpose } from "./http/listener.ts";
import { sleep } from "./platform.ts";
import type { RouteSummary } from "./request/route.ts";
import type { Store } from "./store/store.ts";
import { settledWithin } from "./util/time-limit.ts";

/**
 * How long the start waits for the shared backend of the rooms, in milliseconds; the server runs
 * without it too.
 */
const SHARED_START_MS = 1_000;
/** The minimum time for telemetry's last data, in milliseconds, after the drain's time is up. */
const MIN_FLUSH_MS = 500;
/**
 * The minimum time for the store's pending work, in milliseconds, after the drain's time is used
 * up.
 */
const MIN_CLOSE_MS = 1_000;
/**
 * Without a proxy of ours in front: after how many seconds of silence a connection is closed, and
 * the maximum that Bun accepts.
 */
const IDLE_SECONDS = 120;
const MAX_IDLE_SECONDS = 255;

/** A running server: starts its parts, replaces its app, and stops in order. */
export class RunningServer {
  readonly store: Store;
  /** The routes that it serves, with the limit of each body. */
  readonly routes: readonly RouteSummary[];
  readonly #options: RunningOptions;
  readonly #app: CurrentApp;
  readonly #parts: ServerParts;
  readonly #ports: BunServer[] = [];
  #stops: (() => void)[] = [];

  /** @param store already has the schema of the app */
  constructor(store: Store, app: CompiledApp, options: RunningOptions) {
    this.store = store;
    this.#options = options;
    this.#app = { current: app, problems: [] };
    this.#parts = assemble(store, this.#app, options, () => this.port);
    const { routes } = this.#parts.services;
    this.routes = routes.map(({ method, path, body = "none" }) => ({ method, path, body }));
  }

  get manifest(): CompiledApp["manifest"] {
    return this.#app.current.manifest;
  }

  get port(): number {
    return this.#ports[0]?.port ?? this.#options.config.port;
  }

  /** Whether it accepts requests: its ports open before everything else has started. */
  get isListening(): boolean {
    return this.#ports.length > 0;
  }

  /**
   * Starts the parts and opens the ports.
   *
   * @throws PylonStartError when a port can't be opened
   */
  async open(): Promise<void> {
    const { config, log, telemetry } = this.#options;
    const { feed, redis, rooms, maintenance, loop, metrics, watchdog, health, shards, isolation } =
      this.#parts;
    await isolation.start();
    await feed.start();
    if (redis !== null) await redis.start(SHARED_START_MS);
    else await this.store.link?.start(SHARED_START_MS);
    await rooms.start();
    try {
      await this.runDataMigrations();
      this.#openPorts();
      await this.#parts.startJobs();
    } catch (error) {
      await Promise.all(this.#ports.splice(0).map((port) => port.stop(true)));
      await isolation.stop();
      await rooms.stop();
      redis?.close();
      throw error;
    }
    maintenance.start();
    shards.start();
    this.#parts.matchmaker.start();
    loop.start();
    telemetry?.start(metrics);
    watchdog.start();
    const watch = this.#parts.watchSessions();
    this.#stops.push(
      () => watchdog.stop(),
      () => watch.stop(),
      this.#parts.watchShardSessions(),
    );
    log.info("listening", { port: this.port, dev: config.dev });
    // Logs what does not work from the start, even if nothing requests the report.
    void health.report();
  }

  /**
   * Runs the app's data migrations that the database does not have yet.
   *
   * @throws PylonStartError for one that fails
   */
  runDataMigrations(): Promise<void> {
    const { log, platform } = this.#options;
    const { dataMigrations, manifest } = this.#app.current;
    return runDataMigrations(dataMigrations, {
      store: this.store,
      committer: this.#parts.committer,
      model: () => this.#app.current.model,
      platform,
      version: manifest.version,
      onProgress: (name, rows) => log.info("data migration", { name, rows }),
    });
  }

  /** The current app. */
  get app(): CompiledApp {
    return this.#app.current;
  }

  /**
   * Activates a new version of the app, whose schema the database already has: rules and functions
   * at the same time.
   */
  replace(app: CompiledApp): void {
    const isSameData = dataOf(app.manifest) === dataOf(this.manifest);
    this.#app.current = app;
    this.#parts.jobs.declare(app.manifest);
    this.#parts.shards.replace();
    this.#parts.isolation.replace();
    this.#parts.feed.setModel(app.model, isSameData);
  }

  /** In dev mode: shows these errors in the pages instead of their content, until the next call. */
  showProblems(problems: AppProblems): void {
    this.#app.problems = problems;
  }

  /** Counts a successful or failed backup of its data. */
  countBackup(outcome: "made" | "failed"): void {
    this.#parts.metrics.backup(outcome);
  }

  /** Deletes what is no longer needed, now. */
  maintain(): Promise<void> {
    return this.#parts.maintenance.run();
  }

  /**
   * Announces the shutdown, and continues to serve until a load balancer has noticed and sends no
   * more requests.
   */
  async beginDrain(): Promise<void> {
    const { config, platform } = this.#options;
    this.#announce();
    // Their clients reconnect, and find them on another replica.
    void this.#parts.shards.beginDrain();
    await sleep(platform, config.drainDelaySeconds * 1000);
  }

  /** Stops in order: pending work is completed, up to the time of the drain. */
  async close(): Promise<void> {
    const { config, log, platform, telemetry, files } = this.#options;
    const { feed, redis, pubSub, rooms, jobs, maintenance, loop, shards, relays } = this.#parts;
    const end = platform.monotonic() + config.drainSeconds * 1000;
    const leftMs = (least = 0): number => Math.max(least, end - platform.monotonic());
    this.#announce();
    loop.stop();
    const maintained = maintenance.stop();
    rooms.beginStop();
    // The ports are closed first: a disconnected client must not reconnect to this server.
    const drained = drain(this.#ports, platform, leftMs());
    feed.closeAll();
    relays.stop();
    const matchmakerDone = this.#parts.matchmaker.stop();
    const shardsSaved = shards.close();
    log.tail.close();
    pubSub.close();
    const jobsDone = jobs.stop(leftMs());
    await drained;
    await jobsDone;
    await settledWithin(platform, matchmakerDone, leftMs());
    await settledWithin(platform, shardsSaved, leftMs(MIN_CLOSE_MS));
    for (const stop of this.#stops) stop();
    await this.#parts.isolation.stop();
    this.#parts.merger.close();
    await rooms.stop();
    redis?.close();
    feed.stop();
    await settledWithin(platform, maintained, leftMs());
    files.storage.close();
    await settledWithin(platform, this.store.close(), leftMs(MIN_CLOSE_MS));
    const { database } = config;
    if (database.kind === "sqlite" && database.isTemporary)
      rmSync(dirname(database.path), { recursive: true, force: true });
    log.info("stopped");
    await telemetry?.stop(leftMs(MIN_FLUSH_MS));
  }

  #announce(): void {
    this.#parts.health.stop();
    this.#parts.services.dispatcher.beginDrain();
  }

  #openPorts(): void {
    const { port, extraPorts } = this.#options.config;
    this.#open("all", port);
    if (!extraPorts || port === 0) return;
    this.#open("websocket", port + 1);
    this.#open("sse", port + 2);
    this.#open("shards", port + 3);
  }

  #open(purpose: PortPurpose, port: number): void {
    const { config } = this.#options;
    try {
      const options = { ...config, port, idleSeconds: idleSecondsOf(config) };
      this.#ports.push(listen(purpose, options, this.#parts.services));
    } catch (error) {
      for (const open of this.#ports) void open.stop(true);
      throw listenError(error, config, purpose, port);
    }
  }
}

/**
 * If a connection is closed just when a proxy sends a request on it, the proxy responds with 502,
 * so behind a proxy its connections are left to it. Without one an idle connection is closed, but
 * none whose function may still be running.
 */
function idleSecondsOf({ trustProxyHops, fnTimeoutMs }: Config): number {
  if (trustProxyHops > 0) return 0;
  return Math.min(MAX_IDLE_SECONDS, Math.max(IDLE_SECONDS, fnTimeoutMs / 1000 + 10));
}

/** What determines which rows and fields a client may read. */
function dataOf({ entities, policies, access }: CompiledApp["manifest"]): string {
  return JSON.stringify([entities, policies, access]);
}
