import { COUNT, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of rate limits, of trusted proxies, and of the shutdown. */
export const TRAFFIC_VARIABLES = {
  PYLON_RATE_LIMIT_MAX: variable({
    wants: "a whole number",
    doc:
      "The maximum number of requests per IP address in a window, not counting those for the " +
      "app's pages and their files; 0 disables the limit. Edits of " +
      "[collaborative text](collaborative-text.md) are counted by user, for guests by address.",
    fallback: 100,
    devFallback: 100_000,
    parse: COUNT,
  }),
  PYLON_RATE_LIMIT_WINDOW: variable({
    wants: "seconds from 1 to 86400",
    doc: "The window of PYLON_RATE_LIMIT_MAX, in seconds.",
    fallback: 60,
    parse: whole(1, 86_400),
  }),
  PYLON_FN_RATE_LIMIT_MAX: variable({
    wants: "a whole number",
    doc:
      "The maximum number of calls of one function by one caller in a window; 0 disables the " +
      "limit.",
    fallback: 30,
    devFallback: 100_000,
    parse: COUNT,
  }),
  PYLON_FN_RATE_LIMIT_WINDOW: variable({
    wants: "seconds from 1 to 86400",
    doc: "The window of PYLON_FN_RATE_LIMIT_MAX, in seconds.",
    fallback: 60,
    parse: whole(1, 86_400),
  }),
  PYLON_TRUST_PROXY_HOPS: variable({
    wants: "a whole number from 0 to 10",
    doc:
      "The number of trusted proxies in front of the server: the client's address is the entry " +
      "at this position from the right in X-Forwarded-For.",
    fallback: 0,
    parse: whole(0, 10),
  }),
  PYLON_DRAIN_SECS: variable({
    wants: "seconds from 0 to 3600",
    doc: "How long a stopping server waits for requests to finish, in seconds.",
    fallback: 10,
    parse: whole(0, 3600),
  }),
  PYLON_DRAIN_DELAY_SECS: variable({
    wants: "seconds from 0 to 3600",
    doc:
      "How long a server that receives `SIGTERM` keeps serving before it stops, in seconds, " +
      "while `/readyz` reports that it is stopping: as long as a load balancer takes to " +
      "notice. Together with PYLON_DRAIN_SECS it must be less than the platform's kill " +
      "timeout (ECS: 30 s). See [health](deploy/health.md).",
    fallback: 2,
    devFallback: 0,
    parse: whole(0, 3600),
  }),
} as const;
