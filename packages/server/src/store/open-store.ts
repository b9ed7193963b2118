import type { DatabaseConfig } from "../config/config.ts";
import type { Platform } from "../platform.ts";
import type { QueryObserver } from "../observe/query-observer.ts";
import { RenamedStore } from "./renames/renamed-store.ts";
import { openFailure } from "./sqlite/open-failure.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";
import type { DatabaseState, Store } from "./store.ts";

/** Options of opening a store. */
export interface OpenOptions {
  /** The maximum time to wait for a database server to become available, in milliseconds. */
  readonly startTimeoutMs: number;
  /**
   * Called once when the database is lost, and once when it is back; the store reconnects by
   * itself.
   */
  readonly onState: (state: DatabaseState, error?: unknown) => void;
  /**
   * Loads the statements that create the tables and functions of features in Postgres; they are not
   * loaded for SQLite.
   */
  readonly loadPostgresDdl?: (() => Promise<readonly string[]>) | undefined;
  readonly platform?: Platform | undefined;
  /**
   * Called if the database turns out to have been restored, or to be a copy of another one: its
   * clients load a new snapshot.
   */
  readonly onCopy?: (() => void) | undefined;
  /** Notified of each statement. */
  readonly observer?: QueryObserver | null | undefined;
}

/**
 * Opens the configured database.
 *
 * @throws PylonStartError with the reason if it can't be used
 */
export async function openStore(database: DatabaseConfig, options: OpenOptions): Promise<Store> {
  return new RenamedStore(await openTables(database, options));
}

async function openTables(database: DatabaseConfig, options: OpenOptions): Promise<Store> {
  if (database.kind === "sqlite") {
    try {
      return openSqliteStore(database.path, options.observer, options.onState);
    } catch (error) {
      throw openFailure(database.path, error);
    }
  }
  // The driver is only loaded when it is used: it would slow down the start with SQLite.
  const { openPostgresStore } = await import("./postgres/postgres-store.ts");
  return openPostgresStore({
    ...database,
    ...options,
    extraDdl: await options.loadPostgresDdl?.(),
  });
}

/** A description of the database, without its password: a file, or `host/database`. */
export function describeDatabase(database: DatabaseConfig): string {
  if (database.kind === "sqlite") return database.path;
  const { host, pathname } = new URL(database.url);
  return `postgres ${host}${pathname}`;
}
