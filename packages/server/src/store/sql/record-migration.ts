import { describeStep } from "../../schema/describe-step.ts";
import type { Migration } from "../../schema/migration.ts";
import type { SchemaChange } from "../store.ts";
import { isoTime } from "../system-table.ts";
import { SYSTEM_TABLES } from "../system-tables.ts";
import { quote } from "./quote.ts";

/**
 * The statement that adds a migration to the history, in the migration's own transaction: only
 * migrations that were committed are recorded.
 *
 * @param how.now milliseconds since 1970
 */
export function recordMigration(
  { steps }: Migration,
  by: SchemaChange["by"],
  how: { readonly id: string; readonly now: number; readonly tookMs: number },
): { readonly text: string; readonly params: (string | number)[] } {
  const columns = ["id", "at", "tookMs", "appVersion", "pylonVersion", "steps"];
  const places = columns.map((_, index) => `$${index + 1}`);
  return {
    text:
      `INSERT INTO ${quote(SYSTEM_TABLES.migrations.name)} (${columns.map(quote).join(", ")}) ` +
      `VALUES (${places.join(", ")})`,
    params: [
      how.id,
      isoTime(how.now),
      Math.round(how.tookMs),
      by?.app ?? "",
      by?.pylon ?? "",
      JSON.stringify(steps.map(describeStep)),
    ],
  };
}
