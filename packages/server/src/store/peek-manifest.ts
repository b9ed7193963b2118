import { existsSync } from "node:fs";
import { constants, Database } from "bun:sqlite";
import type { DatabaseConfig } from "../config/config.ts";
import { type StoredManifest, parseStoredManifest } from "../schema/stored-manifest.ts";
import { refuseOtherName } from "./sqlite/server-note.ts";

const SELECT = `SELECT value FROM "_pylon_meta" WHERE key = 'manifest'`;

/**
 * Reads the stored manifest of a database. Unlike `openStore` it creates and changes nothing, and
 * may run while a server is running.
 *
 * @returns null for a database that Pylon has not used yet
 * @throws Error if the database can't be read
 */
export async function peekManifest(database: DatabaseConfig): Promise<StoredManifest | null> {
  const stored =
    database.kind === "sqlite" ? peekSqlite(database.path) : await peekPostgres(database);
  return parseStoredManifest(stored);
}

function peekSqlite(path: string): string | null {
  if (!existsSync(path)) return null;
  refuseOtherName(path);
  // If there is no write-ahead log, no process has the file open, and SQLite can read it without
  // creating a log.
  const isAtRest = !existsSync(`${path}-wal`);
  const file = new Database(
    `${Bun.pathToFileURL(path).href}${isAtRest ? "?immutable=1" : ""}`,
    constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
  );
  try {
    const isOurs =
      file.query(`SELECT 1 FROM sqlite_master WHERE name = '_pylon_meta'`).get() !== null;
    return isOurs ? (file.query<{ value: string }, []>(SELECT).get()?.value ?? null) : null;
  } finally {
    file.close();
  }
}

async function peekPostgres({
  url,
  ca,
}: DatabaseConfig & { kind: "postgres" }): Promise<string | null> {
  // The driver is only loaded when it is used.
  const [{ Client }, { connectionOptions }] = await Promise.all([
    import("pg"),
    import("./postgres/connection-options.ts"),
  ]);
  const client = new Client(
    await connectionOptions({ url, ca, poolMax: 1, startTimeoutMs: 0, onState: () => undefined }),
  );
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ ours: boolean }>(
      `SELECT to_regclass('"_pylon_meta"') IS NOT NULL AS ours`,
    );
    if (rows[0]?.ours !== true) return null;
    return (await client.query<{ value: string }>(SELECT)).rows[0]?.value ?? null;
  } finally {
    await client.end();
  }
}
