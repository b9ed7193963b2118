import { rmSync } from "node:fs";
import { dirname } from "node:path";
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

/** A server that is up: starts its parts, replaces its app, and stops in order. */
export class RunningServer {
  readonly store: Store;
  /** What it answers, with the limit of each body. */
  readonly routes: readonly RouteSummary[];
  readonly #options: RunningOptions;
  readonly #app: CurrentApp;
  readonly #parts: ServerParts;
  readonly #ports: BunServer[] = [];
  #stops: (() => void)[] = [];

  /** @param store has the schema of the app already */
  constructor(store: Store, app: CompiledApp, options: RunningOptions) {
    this.store = store;
    this.#options = options;
    this.#app = { current: app };
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
    this.#parts.relays.start();
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
    // What does not work from the first moment is in the log, also where nothing asks for it.
    void health.report();
  }

  /**
   * Runs the data migrations of the app that the database has not had.
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

  /** What is served. */
  get app(): CompiledApp {
    return this.#app.current;
  }

  /**
   * Takes a new version of the app, whose schema the database has already: rules and functions at
   * once.
   */
  replace(app: CompiledApp): void {
    const { manifest } = this;
    const isSameData =
      JSON.stringify([app.manifest.policies, app.manifest.access]) ===
      JSON.stringify([manifest.policies, manifest.access]);
    this.#app.current = app;
    this.#parts.jobs.declare(app.manifest);
    this.#parts.shards.replace();
    this.#parts.isolation.replace();
    this.#parts.feed.setModel(app.model, isSameData);
  }

  /** Counts a backup that was made of its data, or that failed. */
  countBackup(outcome: "made" | "failed"): void {
    this.#parts.metrics.backup(outcome);
  }

  /** Forgets now what is no longer needed. */
  maintain(): Promise<void> {
    return this.#parts.maintenance.run();
  }

  /**
   * Says that it goes, and serves on for long enough that a load balancer sees it and sends nothing
   * more.
   */
  async beginDrain(): Promise<void> {
    const { config, platform } = this.#options;
    this.#announce();
    // Their clients come back, and find them at another replica.
    void this.#parts.shards.beginDrain();
    await sleep(platform, config.drainDelaySeconds * 1000);
  }

  /** Stops in order: what is under way is finished, up to the time of the drain. */
  async close(): Promise<void> {
    const { config, log, platform, telemetry, files } = this.#options;
    const { feed, redis, pubSub, rooms, jobs, maintenance, loop, shards, relays } = this.#parts;
    const end = platform.monotonic() + config.drainSeconds * 1000;
    const leftMs = (least = 0): number => Math.max(least, end - platform.monotonic());
    this.#announce();
    loop.stop();
    const maintained = maintenance.stop();
    rooms.beginStop();
    // First the ports are closed: a client that is sent away must not come back to here.
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
 * A proxy that sends a request on a connection just as we close it answers 502, so behind one the
 * connections are its own. Without one an idle connection is closed, though none whose function may
 * still be at work.
 */
function idleSecondsOf({ trustProxyHops, fnTimeoutMs }: Config): number {
  if (trustProxyHops > 0) return 0;
  return Math.min(MAX_IDLE_SECONDS, Math.max(IDLE_SECONDS, fnTimeoutMs / 1000 + 10));
}
