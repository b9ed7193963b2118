import { namespace, redisUrl } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of the Redis that replicas share. */
export const REDIS_VARIABLES = {
  REDIS_URL: variable<string | undefined>({
    wants: "redis://user:password@host:6379/0, or rediss:// for TLS",
    doc:
      "The Redis server that replicas share for rate limits, the cache, and rooms (instead of " +
      "Postgres). Without it, each replica has its own rate limits and cache. The password " +
      "may be percent-encoded.",
    fallback: undefined,
    secret: true,
    parse: redisUrl,
  }),
  PYLON_REDIS_NAMESPACE: variable<string | undefined>({
    wants: "1 to 64 characters of A-Z a-z 0-9 : . _ -",
    doc:
      "The prefix of all Redis keys; default `pylon:` and the app's name. Set it when two " +
      "stages of one app share a Redis server.",
    fallback: undefined,
    parse: namespace,
  }),
} as const;
