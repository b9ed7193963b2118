import { PylonError } from "@pylonsync/protocol";
import { SQLiteError } from "bun:sqlite";
import { uniqueViolation } from "../unique-violation.ts";
import { ReadError } from "./read-error.ts";

/**
 * Converts an error of SQLite to a readable one, or returns it unchanged if neither the caller nor
 * the app caused it.
 */
export function translateError(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  switch (error.code) {
    case "SQLITE_CONSTRAINT_PRIMARYKEY":
    case "SQLITE_CONSTRAINT_ROWID":
      return new PylonError("ID_TAKEN", "A row with this id already exists.", {
        field: "id",
        hint: "Omit the id so that one is generated, or choose another.",
      });
    case "SQLITE_CONSTRAINT_UNIQUE": {
      const fields = [...error.message.matchAll(/\.([A-Za-z0-9_]+)/g)].map(
        (match) => match[1] ?? "",
      );
      return uniqueViolation(fields);
    }
    case "SQLITE_BUSY":
      return new PylonError("OVERLOADED", "The database is locked by another process.", {
        hint: "Nothing was changed. Try again.",
      });
    default:
      return storageFailure(error) ?? error;
  }
}

/** Whether it is an error of SQLite, in this process or in a reader process. */
function isOfDatabase(error: unknown): error is SQLiteError | ReadError {
  return error instanceof SQLiteError || error instanceof ReadError;
}

/** Whether the file itself is damaged. */
export function isDamage(error: unknown): boolean {
  return isOfDatabase(error) && DAMAGED.test(error.code ?? "");
}

/** Whether only writes fail, because the disk is full or read-only. */
export function isWriteFailure(error: unknown): boolean {
  const { code = "" } = isOfDatabase(error) ? error : {};
  return FULL.test(code) || READ_ONLY.test(code);
}

const DAMAGED = /^SQLITE_(CORRUPT|NOTADB|FORMAT)/;
const FULL = /^SQLITE_(FULL|IOERR_WRITE|IOERR_SHMSIZE)/;
const READ_ONLY = /^SQLITE_(READONLY|PERM|AUTH)/;
const FAILURES: readonly (readonly [RegExp, string])[] = [
  [FULL, "its disk is full"],
  [READ_ONLY, "its file or disk is read-only"],
  [DAMAGED, "its file is damaged"],
  [/^SQLITE_(IOERR|CANTOPEN|PROTOCOL|NOLFS|NOMEM)/, "its disk failed"],
];

/**
 * The error to respond with if the disk or the file of the database fails, which neither the caller
 * nor the app caused; null for all other errors.
 */
export function storageFailure(error: unknown): PylonError | null {
  if (!isOfDatabase(error)) return null;
  const { code = "" } = error;
  const found = FAILURES.find(([codes]) => codes.test(code));
  if (found === undefined) return null;
  const failure = new PylonError(
    "STORAGE_UNAVAILABLE",
    `The database is unavailable: ${found[1]}.`,
    {
      hint: "Nothing was changed. Try again later.",
      extra: { retry_after_secs: 5 },
    },
  );
  failure.cause = error;
  return failure;
}
