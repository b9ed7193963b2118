const DESCRIPTIONS: Readonly<Record<string, string>> = {
  ENOSPC: "its disk is full: free some space",
  EDQUOT: "the user's disk quota is used up: free some space",
  EROFS: "it is on a read-only disk: use another location",
  ENOENT: "it does not exist",
  ENOTDIR: "a part of its path is not a folder",
  EISDIR: "it is a folder",
  EFBIG: "it would exceed the file size limit of this process",
  EMFILE: "this process has too many files open: raise its limit (`ulimit -n`)",
  SQLITE_FULL: "its disk is full: free some space",
  SQLITE_NOTADB: "it is not a SQLite database",
  SQLITE_CORRUPT: "it is damaged: restore a backup",
};

/**
 * Describes an error of the operating system or of SQLite in one sentence, with what to do.
 *
 * @param place the path, if the error does not contain it
 * @returns null for any other error
 */
export function systemFailure(error: unknown, place?: string): string | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  const code = String(error.code);
  const isOfSystem = "syscall" in error && /^E[A-Z]+$/.test(code);
  if (!isOfSystem && !code.startsWith("SQLITE_")) return null;
  const path = ("path" in error ? String(error.path) : undefined) ?? place;
  const mayNot = ["EACCES", "EPERM", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"].includes(
    code,
  );
  const meaning = mayNot
    ? `the user with the id ${String(process.getuid?.())} may not access it: change its ` +
      "owner, or use another location"
    : (DESCRIPTIONS[code] ?? error.message);
  return `${path === undefined ? "A file" : path} can't be used, because ${meaning} (${code}).`;
}
