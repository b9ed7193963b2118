import { PylonError } from "@pylonsync/protocol";
import { SQLiteError } from "bun:sqlite";

/**
 * A readable refusal for what SQLite refused, or the error itself when it is nobody's fault but
 * ours.
 */
export function translateError(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  switch (error.code) {
    case "SQLITE_CONSTRAINT_PRIMARYKEY":
    case "SQLITE_CONSTRAINT_ROWID":
      return new PylonError("ID_TAKEN", "A row with this id exists already.", {
        field: "id",
        hint: "Let the id be minted, or choose another.",
      });
    case "SQLITE_CONSTRAINT_UNIQUE": {
      const fields = [...error.message.matchAll(/\.([A-Za-z0-9_]+)/g)].map(
        (match) => match[1] ?? "",
      );
      const field = fields.join(", ");
      return new PylonError("UNIQUE_VIOLATION", `Another row has the same ${field}.`, {
        field,
        hint: `Choose a ${field} that is not taken.`,
      });
    }
    case "SQLITE_FULL":
    case "SQLITE_IOERR_WRITE":
      return new PylonError("OVERLOADED", "The server can't write: its disk is full.", {
        hint: "Nothing was changed. Try again later.",
      });
    case "SQLITE_BUSY":
      return new PylonError("OVERLOADED", "The database is held by another process.", {
        hint: "Nothing was changed. Try again.",
      });
    default:
      return error;
  }
}
