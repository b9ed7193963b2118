import type { MigrationStep } from "../../schema/migration.ts";
import { SYSTEM_TABLES } from "../system-tables.ts";
import { quote } from "./quote.ts";

type BackfillStep = MigrationStep & { readonly kind: "backfill" | "compute" };

/**
 * The statement that records, as part of the migration, that rows must be filled in: a crash after
 * it does not lose this. Names consist only of letters, digits and _.
 */
export function beginBackfill({ entity, field }: BackfillStep): string {
  return (
    `INSERT INTO ${quote(SYSTEM_TABLES.backfills.name)} (id, "after", "filled") ` +
    `VALUES ('${backfillId(entity, field.name)}', '', 0) ` +
    `ON CONFLICT (id) DO UPDATE SET "after" = '', "filled" = 0, "doneAt" = NULL`
  );
}

/** The id of the backfill of a column: names contain no dots. */
export function backfillId(table: string, column: string): string {
  return `${table}.${column}`;
}
