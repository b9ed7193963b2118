import { namespace, redisUrl } from "./parsers.ts";
import { variable } from "./variable.ts";

/** What several replicas share beside the database. */
export const REDIS_VARIABLES = {
  REDIS_URL: variable<string | undefined>({
    wants: "redis://user:password@host:6379/0, or rediss:// for TLS",
    doc:
      "What several replicas share beside the database: rate limits, the cache, and rooms, which " +
      "it takes off Postgres. Without it limits and cache count for each on its own. A password " +
      "may be percent-encoded.",
    fallback: undefined,
    secret: true,
    parse: redisUrl,
  }),
  PYLON_REDIS_NAMESPACE: variable<string | undefined>({
    wants: "1 to 64 characters of A-Z a-z 0-9 : . _ -",
    doc:
      "What all keys in Redis begin with. Without it `pylon:` and the app's name: set it when " +
      "two stages of one app share a Redis.",
    fallback: undefined,
    parse: namespace,
  }),
} as const;
