import { availableParallelism } from "node:os";
import { PylonError } from "@pylonsync/protocol";
import type { LateWatchdog } from "../functions/late-watchdog.ts";
import { scheduledCall } from "../functions/scheduler.ts";
import type { Runner } from "../functions/runner.ts";
import type { ConnectionLimit } from "../http/connection-limit.ts";
import type { Route } from "../request/route.ts";
import { startShardThread } from "../shard-worker-thread.ts";
import { MatchTickets } from "../matchmaker/match-tickets.ts";
import { Matchmaker } from "../matchmaker/matchmaker.ts";
import { matchRoutes } from "../matchmaker/routes.ts";
import { timeoutSignal } from "../util/timeout-signal.ts";
import { shardRoutes } from "../shards/routes.ts";
import { JoinTokens } from "../shards/join-tokens.ts";
import { advertisedUrl, replicaNetwork } from "../replica-network.ts";
import { ShardRelays } from "../shards/shard-relays.ts";
import { ShardStorage } from "../shards/shard-storage.ts";
import { nameOf } from "../shards/shard-host.ts";
import { replayRoutes } from "../shards/replay-routes.ts";
import { ShardReplays } from "../shards/shard-replays.ts";
import type { ShardServices } from "../shards/shard-services.ts";
import { Shards } from "../shards/shards.ts";
import { shardCallsOf } from "./shard-calls.ts";
import type { ServerParts } from "./server-parts.ts";
import { type AuthParts, statusOf } from "./auth.ts";
import type { Base } from "./base.ts";

function shardsOf(
  { app, options, metrics, jobs }: Base,
  auth: AuthParts,
  kept: Pick<ShardServices, "storage" | "tokens" | "replays" | "perform">,
  watchdog: LateWatchdog,
): Shards {
  const { log, platform } = options;
  const failed = (message: string, shard: string, error: unknown): void =>
    log.error(message, error, { shard });
  return new Shards({
    definitions: () => app.current.shards,
    threads: {
      sourceOf: (name) =>
        options.isTimeVirtual === true ? undefined : app.current.shardSource(name),
      start: () => startShardThread(platform),
      // A thread costs a third more CPU: one core is for the server, one for the database.
      spare: availableParallelism() - 2,
    },
    ...kept,
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
      threadEnded: (name, id, why, error) => {
        metrics.shardRestart(name, why);
        failed(`shard restarted: its thread is ${why}`, id, error);
      },
      broke: failed,
      called: (name, id, call, error) => {
        metrics.shardCall(name, error === undefined ? "ok" : "failed");
        if (error !== undefined && !(error instanceof PylonError))
          failed(`shard's call of "${call}" failed`, id, error);
      },
      logged: (shard, { level, message, fields }) => {
        if (level === "error") log.error(message, undefined, { ...fields, shard });
        else log[level](message, { ...fields, shard });
      },
      schedule: (id, { name, args }) => {
        const call = Promise.try(() => scheduledCall(() => jobs.now(), name, 0, args));
        void call
          .then((ready) => jobs.addOne(ready))
          .catch((error: unknown) => failed("shard could not schedule a call", id, error));
      },
    },
  });
}

/** Creates the shards, the relays to those of other replicas, and the matchmaker. */
export function gamesOf(
  base: Base,
  auth: AuthParts,
  parts: {
    readonly runner: Runner;
    readonly watchdog: LateWatchdog;
    readonly connections: ConnectionLimit;
    readonly port: () => number;
  },
): {
  readonly parts: Pick<ServerParts, "shards" | "relays" | "matchmaker">;
  readonly routes: Route[];
  readonly forgetOld: () => Promise<void>;
} {
  const { store, options } = base;
  const { config, platform } = options;
  const storage = new ShardStorage(store, platform, {
    id: platform.uuid(),
    address: () => advertisedUrl(config, parts.port()),
  });
  const tokens = new JoinTokens(store, platform);
  const replays = replaysOf(base);
  const perform = shardCallsOf(base, parts.runner);
  const shards = shardsOf(base, auth, { storage, tokens, replays, perform }, parts.watchdog);
  const tickets = new MatchTickets(store, platform);
  const matchmaker = matchmakerOf(base, { tickets, shards, runner: parts.runner });
  const relays = new ShardRelays(shards, replicaNetwork(platform), platform);
  return {
    parts: { shards, relays, matchmaker },
    routes: [
      ...matchRoutes({ matchmaker, tickets, tokens, now: platform.now }),
      ...shardRoutes(shards, relays, parts.connections),
      ...replayRoutes(replays),
    ],
    forgetOld: async () => {
      await storage.forgetOld();
      await replays.forgetOld();
      await tokens.forgetOld();
      await tickets.forgetOld();
    },
  };
}

function replaysOf({ app, store, options }: Base): ShardReplays {
  const { log, platform, files } = options;
  return new ShardReplays({
    store,
    files: files.storage,
    platform,
    definitionOf: (id) => app.current.shards.get(nameOf(id)),
    codeOf: (id) => app.current.shardCode.get(nameOf(id)) ?? null,
    failed: (shard, error) => log.error("replay not saved", error, { shard }),
  });
}

function matchmakerOf(
  { app, options }: Base,
  parts: {
    readonly tickets: MatchTickets;
    readonly shards: Shards;
    readonly runner: Runner;
  },
): Matchmaker {
  const { log, platform } = options;
  const { tickets, shards, runner } = parts;
  return new Matchmaker({
    tickets,
    definitions: () => app.current.shards,
    running: () => shards.running(),
    rate: (query, userId) => {
      const signal = timeoutSignal(platform, options.config.fnTimeoutMs);
      const call = { requestId: platform.uuid(), readerShare: () => "matchmaker" };
      return runner.callers(call, signal).runQuery(query, { userId });
    },
    platform,
    onError: (error) => log.error("matchmaker failed", error),
  });
}
