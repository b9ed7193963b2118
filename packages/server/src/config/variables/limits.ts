import {
  DEFAULT_BYTES_IN_FLIGHT,
  DEFAULT_QUEUED_BYTES,
  DEFAULT_ROW_BYTES,
} from "@pylonsync/protocol";
import { GIB, MIB, oneOf, text, whole } from "./parsers.ts";
import { variable } from "./variable.ts";

/** Variables of limits. */
export const LIMITS_VARIABLES = {
  PYLON_WS_MAX_FRAME: variable({
    wants: "bytes from 1024",
    doc:
      "The maximum size of a WebSocket message from a client, in bytes. Each connection may use " +
      "this much memory before its message is parsed.",
    fallback: MIB,
    parse: whole(1024, 256 * MIB),
  }),
  PYLON_MAX_ROW_BYTES: variable({
    wants: "bytes from 1024 to 8388608",
    doc:
      "The maximum size of a row, in bytes of its values. Existing rows that are larger are " +
      "kept, and can be made smaller.",
    fallback: DEFAULT_ROW_BYTES,
    parse: whole(1024, 8 * MIB),
  }),
  PYLON_MAX_BYTES_IN_FLIGHT: variable({
    wants: "bytes from 33554432",
    doc:
      "The maximum size of all request bodies being received, in bytes, and separately of all " +
      "responses that wait for slow readers. One caller may use a quarter of it. Responses of " +
      "writes, calls and HTTP functions may have four times as much. See [limits](limits.md).",
    fallback: DEFAULT_BYTES_IN_FLIGHT,
    parse: whole(32 * MIB, 64 * GIB),
  }),
  PYLON_CHANGE_LOG_MAX: variable({
    wants: "a whole number from 1",
    doc:
      "The number of changes that the log keeps. A client that was offline for longer loads a " +
      "new snapshot.",
    fallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_QUERY_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc:
      "How long one read on behalf of a caller may take, in seconds: a list, query, aggregate, " +
      "pull or export. A read that takes longer is cancelled and fails with `QUERY_TIMEOUT`. " +
      "Reads of a function are limited only by the function's own timeout. See [slow " +
      "reads](queries.md#keep-reads-fast).",
    fallback: 5,
    parse: whole(1, 3600),
  }),
  PYLON_FN_CALL_TIMEOUT: variable({
    wants: "seconds from 1 to 3600",
    doc: "How long a function may run, in seconds.",
    fallback: 30,
    parse: whole(1, 3600),
  }),
  PYLON_FUNCTION_ISOLATION: variable<"auto" | "always" | "never">({
    wants: "auto, always or never",
    doc:
      "Which functions run in a separate process: those with `isolate: true` and those that " +
      "have blocked the server before (`auto`), all except those with `isolate: false` " +
      "(`always`), or none (`never`).",
    fallback: "auto",
    parse: oneOf("auto", "always", "never"),
  }),
  PYLON_FUNCTION_PROCESSES: variable({
    wants: "a whole number from 2 to 64",
    doc: "The number of processes for isolated functions; each runs one call at a time.",
    fallback: 4,
    parse: whole(2, 64),
  }),
  PYLON_FUNCTION_MEMORY_MB: variable({
    wants: "a whole number from 128 to 65536",
    doc:
      "The memory limit of a process for isolated functions, in MiB; a call that exceeds it is " +
      "ended.",
    fallback: 256,
    parse: whole(128, 65_536),
  }),
  PYLON_JOBS_CONCURRENCY: variable({
    wants: "a whole number from 0 to 1000",
    doc: "The number of jobs that one replica runs concurrently; with 0 it runs no jobs.",
    fallback: 10,
    parse: whole(0, 1000),
  }),
  PYLON_FUNCTIONS_DIR: variable({
    wants: "a folder",
    doc: "The folder of the functions, relative to the app's folder.",
    fallback: "functions",
    parse: text,
  }),
  PYLON_MAX_CONNECTIONS_PER_IP: variable({
    wants: "a whole number from 1",
    doc: "The maximum number of open sockets and event streams per IP address.",
    fallback: 64,
    devFallback: 100_000,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_MAX_SESSIONS_PER_USER: variable({
    wants: "a whole number from 1",
    doc:
      "The maximum number of sessions of a user. A further sign-in ends the session that was not " +
      "used for the longest time.",
    fallback: 100,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_MAX_ORGS_PER_USER: variable({
    wants: "a whole number from 1",
    doc: "The maximum number of organizations that a user owns. It can't create more.",
    fallback: 100,
    parse: whole(1, Number.MAX_SAFE_INTEGER),
  }),
  PYLON_PING_SECS: variable({
    wants: "seconds from 4 to 120",
    doc:
      "How long a socket or an event stream may be idle before the server sends a ping, in " +
      "seconds. It must be shorter than the idle timeout of every proxy in between. Sockets " +
      "use steps of 4 seconds; an event stream is never idle for more than 10.",
    fallback: 24,
    parse: whole(4, 120),
  }),
  PYLON_SEND_BUFFER_BYTES: variable({
    wants: "bytes from 4096",
    doc:
      "The maximum number of bytes buffered for one slow reader; a reader that exceeds it is " +
      "disconnected and resumes. Requested rows, results of live functions and larger messages " +
      "do not count, up to 8 MiB.",
    fallback: MIB,
    parse: whole(4096, 64 * MIB),
  }),
  PYLON_MAX_QUEUED_BYTES: variable({
    wants: "bytes from 67108864",
    doc:
      "The maximum number of bytes buffered for all slow readers of sockets, event streams and " +
      "polls together; the readers of one network address may have a quarter of it. Beyond that, " +
      "the reader with the most is disconnected, and resumes.",
    fallback: DEFAULT_QUEUED_BYTES,
    parse: whole(64 * MIB, 64 * GIB),
  }),
} as const;
