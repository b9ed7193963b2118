import type { MigrationStep } from "../../schema/migration.ts";
import { SYSTEM_TABLES } from "../system-tables.ts";
import { quote } from "./quote.ts";

type BackfillStep = MigrationStep & { readonly kind: "backfill" | "compute" };

/**
 * Notes, within the migration, that rows are to be filled in: a crash after it does not forget
 * them. Names have letters, digits and _ alone.
 */
export function beginBackfill({ entity, field }: BackfillStep): string {
  return (
    `INSERT INTO ${quote(SYSTEM_TABLES.backfills.name)} (id, "after", "filled") ` +
    `VALUES ('${backfillId(entity, field.name)}', '', 0) ` +
    `ON CONFLICT (id) DO UPDATE SET "after" = '', "filled" = 0, "doneAt" = NULL`
  );
}

/** What the filling of a column is called: no name has a point in it. */
export function backfillId(table: string, column: string): string {
  return `${table}.${column}`;
}
