import { PylonStartError } from "../../start-error.ts";
import { errorCode, errorText } from "../../util/errors.ts";

/** Why the file of a SQLite database can't be used, and what to do about it. */
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

/** Null where the reason has to speak for itself. */
function adviceOn(code: string): string | null {
  if (code === "ENOSPC" || code === "SQLITE_FULL") return "make room on its disk.";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return "another program holds it. End that one first.";
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT"))
    return (
      "it is not a complete SQLite database. " +
      "Restore a backup, or name another file by PYLON_DB_PATH."
    );
  if (code === "EROFS" || code.startsWith("SQLITE_READONLY"))
    return (
      "give the file and its folder to that user, have its disk mounted for writing, " +
      "or name another place by PYLON_DB_PATH."
    );
  if (/^(?:EACCES|EPERM|ENOTDIR|ENOENT|EEXIST|EISDIR|SQLITE_CANTOPEN|SQLITE_PERM)/.test(code))
    return "give the file and its folder to that user, or name another place by PYLON_DB_PATH.";
  return null;
}
