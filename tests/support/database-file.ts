import { Database } from "bun:sqlite";

/** As long as the server itself waits for others that write. */
const BUSY_MS = 10_000;

/**
 * Opens the file of a server that may be running, behind its back. SQLite has one writer at a time:
 * a statement waits for the server's transaction, instead of failing because of it.
 */
export function openDatabaseFile(
  path: string,
  options: { readonly readonly?: true } = {},
): Database {
  const database =
    options.readonly === true ? new Database(path, { readonly: true }) : new Database(path);
  database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  return database;
}
