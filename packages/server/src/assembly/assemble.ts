import { LateWatchdog } from "../functions/late-watchdog.ts";
import { Traces } from "../functions/traces.ts";
import { ConnectionLimit } from "../http/connection-limit.ts";
import { EventLoopDelay } from "../observe/event-loop.ts";
import { healthParts, type HealthSources } from "../monitoring/health-parts.ts";
import { Health } from "../monitoring/health.ts";
import { Metrics } from "../observe/metrics.ts";
import { observeRoutes } from "../monitoring/routes.ts";
import { watchShardSessions } from "../shards/session-watch.ts";
import type { Store } from "../store/store.ts";
import type { Feed } from "../sync/feed.ts";
import { SessionWatch } from "../sync/session-watch.ts";
import { authOf, statusOf } from "./auth.ts";
import { type Base, type RunningOptions, type CurrentApp, baseOf, feedOf } from "./base.ts";
import { runnerOf, liveCallsOf, isolationOf, endpointsOf } from "./functions.ts";
import { documentsOf } from "./documents.ts";
import { startJobs } from "./jobs.ts";
import { figuresOf } from "./figures.ts";
import { maintenanceOf } from "./maintenance.ts";
import { roomsOf } from "./rooms.ts";
import { filesOf, routesOf, httpLiveRoutes } from "./routes.ts";
import { servicesOf } from "./services.ts";
import { gamesOf } from "./shards.ts";
import type { ServerParts } from "./server-parts.ts";

/** How long a function may block the thread beyond its time limit, in milliseconds. */
const WATCHDOG_GRACE_MS = 5_000;

/** Assembles a server: the only place where all parts are connected. Nothing is started yet. */
export function assemble(
  store: Store,
  app: CurrentApp,
  options: RunningOptions,
  port: () => number = () => options.config.port,
): ServerParts {
  const { config, platform } = options;
  const uptimeMs = uptimeOf(platform);
  // Scraped values are read from parts that are created after the metrics.
  const metrics: Metrics = new Metrics(() =>
    figuresOf(base, { uptimeMs, feed, health, loop, shards, signIns: auth.signIns }),
  );
  const base = baseOf(store, app, options, metrics);
  const feed = feedOf(base, (identity) => statusOf(identity, auth));
  const auth = authOf(base);
  const { rooms, backend } = roomsOf(base, feed);
  const health = healthOf(base, feed, backend);
  const loop = new EventLoopDelay(platform);
  const watchdog = watchdogOf(options);
  const files = filesOf(base);
  const isolation = isolationOf(base);
  const traces = new Traces();
  const runner = runnerOf(base, watchdog, { isolation, traces, storageOf: files.storageOf });
  const connections = new ConnectionLimit(config.maxConnectionsPerAddress);
  const games = gamesOf(base, auth, { runner, watchdog, connections, port });
  const { shards } = games.parts;
  feed.serveFunctions(liveCallsOf(base, runner, feed), platform);
  const endpoints = endpointsOf(base, runner);
  const documents = documentsOf(base, feed);
  const services = { ...servicesOf(base, auth, feed, rooms, documents.feed), endpoints };
  const routes = [
    ...observeRoutes(health, metrics, uptimeMs),
    ...routesOf(base, auth, { runner, traces }, rooms),
    ...games.routes,
    ...files.routes,
    ...documents.routes,
    ...httpLiveRoutes(services, connections, config),
  ];
  return {
    feed,
    redis: base.redis,
    pubSub: base.pubSub,
    rooms,
    health,
    metrics,
    loop,
    watchdog,
    maintenance: maintenanceOf(base, auth, files, games),
    isolation,
    runner,
    committer: base.committer,
    jobs: base.jobs,
    merger: documents.merger,
    ...games.parts,
    startJobs: () => startJobs(base, auth, runner, watchdog),
    services: { ...services, ...games.parts, routes, connections },
    watchSessions: () => new SessionWatch(feed, auth.sessions, auth.apiKeys, platform),
    watchShardSessions: () => watchShardSessions(shards, auth.sessions, auth.apiKeys),
  };
}

function watchdogOf({ config, platform, isTimeVirtual }: RunningOptions): LateWatchdog {
  const limitMs = isTimeVirtual === true ? null : config.fnTimeoutMs + WATCHDOG_GRACE_MS;
  return new LateWatchdog({ limitMs, platform });
}

function healthOf({ store, options }: Base, feed: Feed, backend: HealthSources["backend"]): Health {
  const { log, platform, files } = options;
  const { storage } = files;
  return new Health(healthParts({ store, feed, storage, backend, log }), platform);
}

/** Returns a function for the milliseconds since this call. */
function uptimeOf({ monotonic }: RunningOptions["platform"]): () => number {
  const startedAt = monotonic();
  return () => monotonic() - startedAt;
}
