import { PylonStartError } from "../../start-error.ts";
import { errorCode, errorText } from "../../util/errors.ts";

/** The error for a SQLite database file that can't be used, with advice. */
export function openFailure(path: string, error: unknown): PylonStartError {
  if (error instanceof PylonStartError) return error;
  const code = errorCode(error);
  const reason = errorText(error);
  const advice = adviceOn(code);
  return new PylonStartError(
    `The database ${path} can't be used by the user with the id ${String(process.getuid?.())} ` +
      `(${reason})${advice === null ? "." : `: ${advice}`}`,
  );
}

/** Null if there is no advice for the reason. */
function adviceOn(code: string): string | null {
  if (code === "ENOSPC" || code === "SQLITE_FULL") return "free space on its disk.";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return "another process has locked it. Stop that process first.";
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT"))
    return (
      "it is not a complete SQLite database. " +
      "Restore a backup, or set PYLON_DB_PATH to another file."
    );
  if (code === "EROFS" || code.startsWith("SQLITE_READONLY"))
    return (
      "make that user own the file and its folder, mount its disk for writing, " +
      "or set PYLON_DB_PATH to another file."
    );
  if (/^(?:EACCES|EPERM|ENOTDIR|ENOENT|EEXIST|EISDIR|SQLITE_CANTOPEN|SQLITE_PERM)/.test(code))
    return "make that user own the file and its folder, or set PYLON_DB_PATH to another file.";
  return null;
}
