import { DEFAULT_BYTES_IN_FLIGHT, DEFAULT_ROW_BYTES } from "@pylonsync/protocol";
import { GIB, MIB, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** How much, how long and how many. */
export const LIMITS_VARIABLES = {
  PYLON_WS_MAX_FRAME: variable({
    wants: "bytes from 1024",
    doc:
      "Largest WebSocket message from a client, in bytes. As much may be in memory for each " +
      "connection, before it is known what it is.",
    fallback: MIB,
    parse: whole(1024, 256 * MIB),
  }),
  PYLON_MAX_ROW_BYTES: variable({
    wants: "bytes from 1024 to 8388608",
    doc:
      "Largest row, in bytes of its values. Rows that are larger already stay, and can be made " +
      "smaller.",
    fallback: DEFAULT_ROW_BYTES,
    parse: whole(1024, 8 * MIB),
  }),
  PYLON_MAX_BYTES_IN_FLIGHT: variable({
    wants: "bytes from 33554432",
    doc:
      "Bytes of request bodies that are being received, and as many of answers that wait for " +
      "slow readers. One caller has a quarter of it. See [limits](limits.md).",
    fallback: DEFAULT_BYTES_IN_FLIGHT,
    parse: whole(32 * MIB, 64 * GIB),
  }),
  PYLON_CHANGE_LOG_MAX: variable({
    wants: "a whole number from 1",
    doc: "Changes that the log keeps. A client that was away for longer takes a new snapshot.",
    fallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_QUERY_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc:
      "How long one read on behalf of a caller may take, in seconds: a list, a query, an " +
      "aggregate, a pull, an export. Then it is ended and answered `QUERY_TIMEOUT`. A function's " +
      "own reads may take as long as the function. See [slow reads](queries.md#keep-reads-fast).",
    fallback: 5,
    parse: whole(1, 3600),
  }),
  PYLON_FN_CALL_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc: "How long a function may take, in seconds.",
    fallback: 30,
    parse: whole(1, 3600),
  }),
  PYLON_JOBS_CONCURRENCY: variable({
    wants: "a whole number from 0 to 1000",
    doc: "Jobs that one replica runs at the same time; 0 for a replica that runs none.",
    fallback: 10,
    parse: whole(0, 1000),
  }),
  PYLON_FUNCTIONS_DIR: variable({
    wants: "a folder",
    doc: "Where the functions are, from the app's folder.",
    fallback: "functions",
    parse: text,
  }),
  PYLON_MAX_CONNECTIONS_PER_IP: variable({
    wants: "a whole number from 1",
    doc: "Sockets and event streams that one address may have open.",
    fallback: 64,
    devFallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_PING_SECS: variable({
    wants: "seconds from 4 to 120",
    doc:
      "How long a socket or an event stream may be silent before the server sends a ping: less " +
      "than any proxy on the way waits. Sockets count in steps of 4; an event stream is never " +
      "silent for more than 10.",
    fallback: 24,
    parse: whole(4, 120),
  }),
  PYLON_SEND_BUFFER_BYTES: variable({
    wants: "bytes from 4096",
    doc:
      "What may wait in memory for one slow reader, in bytes; beyond it the reader is cut off " +
      "and resumes.",
    fallback: MIB,
    parse: whole(4096, 64 * MIB),
  }),
} as const;
