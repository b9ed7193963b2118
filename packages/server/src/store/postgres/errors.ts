import { PylonError } from "@pylonsync/protocol";
import { DatabaseError } from "pg";
import { errorCode, errorText } from "../../util/errors.ts";
import { outOfRange } from "../number-range.ts";
import { RowBusyError } from "./row-locks.ts";

/**
 * SQLSTATE codes. They include unique violations: values are looked up before they are written, so
 * another transaction must have written in between.
 */
const CONFLICTS = new Set(["40001", "40P01", "23505"]);
/** The server became a read-only replica in a failover, or is set to be read-only. */
const READ_ONLY = "25006";
/** The server is shutting down or starting up, is read-only, or has no free connection. */
const UNREACHABLE = new RegExp(`^(08...|57P0[1-5]|${READ_ONLY}|53300)$`);
/**
 * Behind a pooler a prepared statement may be unknown to the connection, already known to it, or
 * outdated by a schema change.
 */
const STALE_STATEMENTS = new Set(["26000", "42P05", "0A000"]);
const NETWORK = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);
/** The beginnings of the messages of the driver and of sockets when a connection is lost. */
const BROKEN = new RegExp(
  `^(${[
    "Connection terminated",
    "Client has encountered a connection error",
    "Client was closed",
    "Query read timeout",
    "timeout exceeded",
    "timeout expired",
    "The server does not",
    "Connection ended",
    "write after end",
    "This socket has been ended",
  ].join("|")})`,
  "i",
);

/**
 * No connection could be opened, for whatever reason: the server is down, or it refuses the user
 * or the database, because a password was changed or a maintenance has begun.
 */
export class ConnectFailure extends Error {
  override readonly name = "ConnectFailure";

  constructor(cause: unknown) {
    super(errorText(cause), { cause });
  }
}

/** Whether the database can be read at the moment, but not written. */
export function isReadOnly(error: unknown): boolean {
  return errorCode(error instanceof PylonError ? error.cause : error) === READ_ONLY;
}

/** Whether two transactions conflicted: the same work may be retried. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(errorCode(error));
}

/** Whether the connection is lost, or leads to a server that can't write at the moment. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof ConnectFailure) return true;
  const code = errorCode(error);
  if (UNREACHABLE.test(code) || NETWORK.has(code)) return true;
  return error instanceof Error && !(error instanceof DatabaseError) && BROKEN.test(error.message);
}

/** Whether another transaction has locked a row for too long. */
export function isLockTimeout(error: unknown): boolean {
  return errorCode(error) === "55P03";
}

/** Whether a statement that was prepared by name can't be used on this connection. */
export function isStaleStatement(error: unknown): boolean {
  return STALE_STATEMENTS.has(errorCode(error));
}

/** Whether the same work may succeed in another transaction. */
export function isRetryable(error: unknown): boolean {
  return (
    isConflict(error) ||
    isUnreachable(error) ||
    isStaleStatement(error) ||
    isLockTimeout(error) ||
    error instanceof RowBusyError
  );
}

/**
 * Converts an error of Postgres to a readable one, or returns it unchanged if neither the caller
 * nor the app caused it.
 */
export function translateError(error: unknown): unknown {
  if (isUnreachable(error)) return unavailable(error);
  if (isConflict(error)) {
    return new PylonError("OVERLOADED", "Too many concurrent writes to the same rows.", {
      hint: "Nothing was changed. Try again.",
      extra: { retry_after_secs: 1 },
    });
  }
  if (isLockTimeout(error) || error instanceof RowBusyError) return rowBusy();
  if (!(error instanceof DatabaseError)) return error;
  switch (error.code) {
    case "22003":
      return outOfRange();
    case "22021":
      return new PylonError("INVALID_DATA", "A string contains an invalid character, such as NUL.");
    case "25P03":
      return new PylonError(
        "OVERLOADED",
        "The transaction was idle for too long and was rolled back.",
        {
          hint:
            "Nothing was changed. A mutation should only await ctx.db: " +
            "do the rest in an action.",
        },
      );
    case "57014":
      return ended(error);
    case "54000":
      return new PylonError("INVALID_DATA", "A value is too long for the index of its field.", {
        hint: "Indexed and unique strings may have about 2,600 bytes.",
      });
    default:
      return SERVER_FAILURE.test(error.code ?? "") ? storageFailure(error) : error;
  }
}

/** The server's disk or memory is full, its disk has failed, or its data is damaged. */
const SERVER_FAILURE = /^(53...|58...|XX00[012])$/;

function storageFailure(cause: DatabaseError): PylonError {
  const reason = cause.code === "53100" ? "its disk is full" : "it has failed";
  const failure = new PylonError("STORAGE_UNAVAILABLE", `The database is unavailable: ${reason}.`, {
    hint: "Nothing was changed. Try again later.",
    extra: { retry_after_secs: 5 },
  });
  failure.cause = cause;
  return failure;
}

/** The error if other transactions kept writing a row for too long. */
export function rowBusy(): PylonError {
  return new PylonError("OVERLOADED", "Another transaction has locked the same row for too long.", {
    hint: "Nothing was changed. Try again in a moment.",
    extra: { retry_after_secs: 1 },
  });
}

/**
 * The error if the database can't be reached or written at the moment. No change is known to have
 * been made.
 */
export function unavailable(cause: unknown): PylonError {
  const error = new PylonError(
    "OVERLOADED",
    isReadOnly(cause) ? "The database is read-only." : "The database can't be reached.",
    { hint: "Try again in a moment.", extra: { retry_after_secs: 1 } },
  );
  error.cause = cause;
  return error;
}

/** The error if the server has ended a statement, because it took too long. */
function ended(cause: DatabaseError): PylonError {
  const error = new PylonError("QUERY_TIMEOUT", "The database has ended a statement.", {
    hint: "Nothing was changed. It took too long: read or write fewer rows.",
  });
  error.cause = cause;
  return error;
}
