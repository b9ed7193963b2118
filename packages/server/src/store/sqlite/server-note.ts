import { statSync, type Stats } from "node:fs";
import { hostname } from "node:os";
import { pathToFileURL } from "node:url";
import { Database, constants } from "bun:sqlite";
import type { Platform } from "../../platform.ts";
import { PylonStartError } from "../../start-error.ts";
import { BASE_DDL } from "./ddl.ts";

/** Which server has a database, as it says of itself in there. */
export interface ServerNote {
  /** The file by the name under which it is served. */
  readonly path: string;
  readonly processId: number;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
}

const KEY = "server";
const SET = `INSERT INTO "_pylon_meta" (key, value) VALUES (?, ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
const GET = `SELECT value FROM "_pylon_meta" WHERE key = ?`;
const FORGET = `DELETE FROM "_pylon_meta" WHERE key = ?`;

/**
 * Notes that this process serves the database, in the file itself: another name of it has it too.
 */
export function noteServer(path: string, { now }: Platform): void {
  const note: ServerNote = {
    path,
    processId: process.pid,
    host: hostname(),
    since: new Date(now()).toISOString(),
  };
  write(path, (database) => {
    for (const sql of BASE_DDL.slice(0, 1)) database.run(sql);
    database.query(SET).run(KEY, JSON.stringify(note));
  });
}

/** After it, the database may be served under another name. */
export function forgetServer(path: string): void {
  try {
    write(path, (database) => database.query(FORGET).run(KEY));
  } catch {
    // On a disk that fails the note stays, as after a crash: then the next start uses the same
    // name.
  }
}

/** @returns null when there is none, or it can't be read */
export function serverNote(path: string): ServerNote | null {
  return read(path, `${pathToFileURL(path).href}?mode=ro`);
}

/** For people: `process 12 on host, since ...`. */
export function describeServer({ processId, host, since }: ServerNote): string {
  return `process ${processId} on ${host}, since ${since}`;
}

/**
 * A file with several names (hard links) is one database to us and several to SQLite, which keeps
 * what it has not yet put into the file beside the name by which it was opened.
 *
 * @throws PylonStartError when a server has it, or had it when it was killed, by another name
 */
export function refuseOtherName(path: string): void {
  const own = statOf(path);
  if (own === null || own.nlink < 2) return;
  // `immutable`: a file beside this name must not even be looked at.
  const note = read(path, `${pathToFileURL(path).href}?immutable=1`);
  if (note === null || note.path === path) return;
  const other = statOf(note.path);
  if (other === null || other.dev !== own.dev || other.ino !== own.ino) return;
  throw new PylonStartError(
    `Another server is using the database ${path}, under its other name ${note.path} ` +
      `(${describeServer(note)}). ` +
      "SQLite supports only one server at a time. If that server has stopped, start with " +
      `PYLON_DB_PATH=${note.path}: its last writes are stored under that name.`,
  );
}

function write(path: string, work: (database: Database) => void): void {
  const database = new Database(path, { readwrite: true, create: false });
  try {
    database.run("PRAGMA busy_timeout = 5000");
    work(database);
    database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    database.close();
  }
}

function read(path: string, uri: string): ServerNote | null {
  if (statOf(path) === null) return null;
  try {
    const database = new Database(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
    try {
      const row = database.query<{ value: string }, [string]>(GET).get(KEY);
      if (row === null) return null;
      const note: ServerNote = JSON.parse(row.value);
      return note;
    } finally {
      database.close();
    }
  } catch {
    // No database of Pylon, or not one at all: the server that opens it to use it says so.
    return null;
  }
}

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
