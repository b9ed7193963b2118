import { realpathSync, statSync, type Stats } from "node:fs";
import { hostname } from "node:os";
import { Database, constants } from "bun:sqlite";
import type { Platform } from "../../platform.ts";
import { PylonStartError } from "../../start-error.ts";
import { BASE_DDL } from "./ddl.ts";

/** The record in a database of the server that uses it. */
export interface ServerNote {
  /** The name of the file under which it is served. */
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
 * Records in the file itself that this process serves the database: the record is also visible
 * under another name of the file.
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

/** Deletes the record. Afterwards the database may be served under another name. */
export function forgetServer(path: string): void {
  try {
    write(path, (database) => database.query(FORGET).run(KEY));
  } catch {
    // On a failing disk the record remains, as after a crash: then the next start must use the same
    // name.
  }
}

/** @returns null if there is none, or it can't be read */
export function serverNote(path: string): ServerNote | null {
  return read(path, `${Bun.pathToFileURL(path).href}?mode=ro`);
}

/** A description for people: `process 12 on host, since ...`. */
export function describeServer({ processId, host, since }: ServerNote): string {
  return `process ${processId} on ${host}, since ${since}`;
}

/**
 * The name of the file itself: a symbolic link is another name of it, and SQLite does not use that.
 */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It does not exist yet, or can't be accessed: then opening it reports the reason.
    return path;
  }
}

/**
 * Rejects a file that another server uses under another name, before any program opens it. A file
 * with several names (hard links) is one database to Pylon but several to SQLite, which stores data
 * that is not yet in the file next to the name under which it was opened: a program that reads it
 * under another name misses the latest writes, and one that writes damages it.
 *
 * @throws PylonStartError if a server uses the file under another name, or used it when it was
 *   killed
 */
export function refuseOtherName(named: string): void {
  const path = realPath(named);
  const own = statOf(path);
  if (own === null || own.nlink < 2) return;
  // `immutable`: a write-ahead log next to this name must not be read.
  const note = read(path, `${Bun.pathToFileURL(path).href}?immutable=1`);
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
    // Not a database of Pylon, or not a database at all: the server reports it when it opens the
    // file.
    return null;
  }
}

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
