import type { LiveFigures } from "../observe/metrics.ts";
import type { ServerParts } from "./server-parts.ts";
import type { AuthParts } from "./auth.ts";
import type { Base } from "./base.ts";

/** Returns the values that the metrics read from the parts when they are scraped. */
export function figuresOf(
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
    // If the database is unreachable, they are unknown; `pylon_part_up` reports that.
    lateCrons: () => jobs.crons.late().catch(() => ({})),
    telemetry: () => telemetry?.counts() ?? [],
    loop,
  };
}
