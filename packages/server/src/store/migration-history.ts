import type { Reader } from "./store.ts";
import { isoTime, isoTimeOrNull } from "./system-table.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

/** How many migrations and backfills are told of. */
const MAX_LISTED = 20;

/** What was done to the tables at one time. */
export interface PastMigration {
  /** ISO 8601. */
  readonly at: string;
  /** How long the steps took, without the rows that were filled in after them, in milliseconds. */
  readonly took_ms: number;
  readonly app_version: string;
  readonly pylon_version: string;
  /** In words. */
  readonly steps: readonly string[];
}

/** How far the rows are that get a value of a new field. */
export interface BackfillProgress {
  /** Table and column: `Task.slug`. */
  readonly field: string;
  /** Rows that have got one. */
  readonly filled: number;
  /** ISO 8601; null while there are rows without one. */
  readonly done_at: string | null;
}

/** What a database tells of its migrations. */
export interface MigrationHistory {
  /** The newest first, at most 20. */
  readonly migrations: readonly PastMigration[];
  /** Those that are under way, or broke off, first; at most 20. */
  readonly backfills: readonly BackfillProgress[];
}

/**
 * The migrations that a database has been through.
 *
 * @example const { migrations } = await migrationHistory(store);
 */
export async function migrationHistory(reader: Reader): Promise<MigrationHistory> {
  const past = await SYSTEM_TABLES.migrations.select(reader, {
    order: [{ field: "at", direction: "desc" }],
    limit: MAX_LISTED,
  });
  // Nulls come first in this order.
  const backfills = await SYSTEM_TABLES.backfills.select(reader, {
    order: [{ field: "doneAt", direction: "desc" }],
    limit: MAX_LISTED,
  });
  return {
    migrations: past.map(({ at, tookMs, appVersion, pylonVersion, steps }) => ({
      at: isoTime(at),
      took_ms: tookMs,
      app_version: appVersion,
      pylon_version: pylonVersion,
      steps,
    })),
    backfills: backfills.map(({ id, filled, doneAt }) => ({
      field: id,
      filled,
      done_at: isoTimeOrNull(doneAt),
    })),
  };
}
