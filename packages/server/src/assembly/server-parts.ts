import type { PubSub } from "../pubsub/pub-sub.ts";
import type { Redis } from "../cache/redis.ts";
import type { Committer } from "../data/commit.ts";
import type { Merger } from "../documents/merger.ts";
import type { LateWatchdog } from "../functions/late-watchdog.ts";
import type { Runner } from "../functions/runner.ts";
import type { ListenerServices } from "../http/listener.ts";
import type { FunctionIsolation } from "../isolation/function-isolation.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Maintenance } from "../maintenance.ts";
import type { EventLoopDelay } from "../observe/event-loop.ts";
import type { Health } from "../monitoring/health.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { Matchmaker } from "../matchmaker/matchmaker.ts";
import type { ShardRelays } from "../shards/shard-relays.ts";
import type { Shards } from "../shards/shards.ts";
import type { Feed } from "../sync/feed.ts";
import type { SessionWatch } from "../sync/session-watch.ts";

/** The parts that a running server starts, uses and stops. */
export interface ServerParts {
  readonly feed: Feed;
  /** Null if none is configured. */
  readonly redis: Redis | null;
  readonly pubSub: PubSub;
  readonly rooms: Rooms;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly loop: EventLoopDelay;
  readonly watchdog: LateWatchdog;
  readonly isolation: FunctionIsolation;
  readonly runner: Runner;
  readonly committer: Committer;
  readonly maintenance: Maintenance;
  readonly jobs: Jobs;
  /** Merges documents in a process of its own. */
  readonly merger: Merger;
  readonly shards: Shards;
  readonly relays: ShardRelays;
  readonly matchmaker: Matchmaker;
  /** Starts to run jobs. */
  readonly startJobs: () => Promise<void>;
  /** The services that handle the ports' requests. */
  readonly services: ListenerServices;
  /** Closes the connections of sessions that end. */
  readonly watchSessions: () => SessionWatch;
  /** Does the same for connections to shards. @returns an unsubscribe function */
  readonly watchShardSessions: () => () => void;
}
