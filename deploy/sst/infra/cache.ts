import type { Network } from "./network";
import { allow, createGroup } from "./security-groups";

const REDIS_PORT = 6379;

export interface Cache {
  readonly redis: sst.aws.Redis;
  /** With the password: for a secret parameter only. */
  readonly url: $util.Output<string>;
}

/** A Valkey node that the replicas share for rooms, presence, limits and ctx.cache. */
export function createCache({ vpc, tasks }: Network): Cache {
  const group = createGroup("CacheGroup", vpc, "ElastiCache");
  allow("CacheFromTasks", { from: tasks.id, to: group.id, ports: [REDIS_PORT] });
  // Pylon's client speaks to one node, not to a cluster of them.
  const redis = new sst.aws.Redis("Cache", {
    engine: "valkey",
    cluster: false,
    // Rooms and counters must not be dropped to make room for a cache entry: where memory is full,
    // the write is refused and the alarm tells.
    parameters: { "maxmemory-policy": "noeviction" },
    vpc: { subnets: vpc.privateSubnets, securityGroups: [group.id] },
  });
  const credentials = $util
    .all([redis.username, redis.password])
    .apply(
      ([name, password]) =>
        `${encodeURIComponent(name ?? "default")}:${encodeURIComponent(password ?? "")}`,
    );
  return { redis, url: $interpolate`rediss://${credentials}@${redis.host}:${redis.port}` };
}
