import type { Network } from "./network";
import { allow, createGroup } from "./security-groups";

const REDIS_PORT = 6379;

export interface Cache {
  readonly redis: sst.aws.Redis;
  /** Contains the password, so it may only be used in a secret parameter. */
  readonly url: $util.Output<string>;
}

/** A Valkey node that the replicas share for rooms, presence, limits and ctx.cache. */
export function createCache({ vpc, tasks }: Network): Cache {
  const group = createGroup("CacheGroup", vpc, "ElastiCache");
  allow("CacheFromTasks", { from: tasks.id, to: group.id, ports: [REDIS_PORT] });
  // Pylon's client supports a single node, not a cluster.
  const redis = new sst.aws.Redis("Cache", {
    engine: "valkey",
    cluster: false,
    // Rooms and counters must not be evicted for a cache entry: if the memory is full, the write is
    // rejected and the alarm is raised.
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
