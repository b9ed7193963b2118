import type { Reader } from "./store.ts";
import { isoTime, isoTimeOrNull } from "./system-table.ts";
import { SYSTEM_TABLES } from "./system-tables.ts";

/** The maximum number of migrations, and of backfills, in the history. */
const MAX_LISTED = 20;

/** The changes of one migration. */
export interface PastMigration {
  /** ISO 8601. */
  readonly at: string;
  /** The duration of the steps, without filling in rows afterwards, in milliseconds. */
  readonly took_ms: number;
  readonly app_version: string;
  readonly pylon_version: string;
  /** The steps in words. */
  readonly steps: readonly string[];
}

/** The progress of filling in a new field. */
export interface BackfillProgress {
  /** Table and column: `Task.slug`. */
  readonly field: string;
  /** The number of rows filled in. */
  readonly filled: number;
  /** ISO 8601; null while there are rows without a value. */
  readonly done_at: string | null;
}

/** The history of a database's migrations. */
export interface MigrationHistory {
  /** The newest first, at most 20. */
  readonly migrations: readonly PastMigration[];
  /** Unfinished ones first, whether running or interrupted; at most 20. */
  readonly backfills: readonly BackfillProgress[];
}

/**
 * Returns the migrations that were applied to a database.
 *
 * @example const { migrations } = await migrationHistory(store);
 */
export async function migrationHistory(reader: Reader): Promise<MigrationHistory> {
  const past = await SYSTEM_TABLES.migrations.select(reader, {
    order: [{ field: "at", direction: "desc" }],
    limit: MAX_LISTED,
  });
  // Nulls are first in this order.
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
