import type { Database } from "bun:sqlite";
import { repairedDatetime } from "../../schema/datetime-defaults.ts";
import type { MigrationStep } from "../../schema/migration.ts";
import { quote } from "../sql/quote.ts";
import { SQL_NOW } from "./ddl.ts";

type RepairStep = MigrationStep & { readonly kind: "repair_dates" };

const PAGE = 1_000;
/** The normal form; other values are defaults that were stored as written. */
const NORMAL = "????-??-??T??:??:??.???Z";

/** The current time of the database: ISO 8601 with milliseconds and Z. */
export function timeOf(database: Database): string {
  return database.query<{ now: string }, []>(`SELECT ${SQL_NOW} AS now`).get()?.now ?? "";
}

/**
 * Normalizes the dates of a column, in place. SQLite stores them as text, so an older version could
 * store any text that was a default.
 *
 * @param now the value for `now` in a row whose id does not contain the time of its creation
 */
export function repairDates(database: Database, { entity, field }: RepairStep, now: string): void {
  const [table, column] = [quote(entity), quote(field.name)];
  const read = database.prepare<{ id: string; text: string }, [string, string, number]>(
    `SELECT id, ${column} AS text FROM ${table}
       WHERE id > ? AND ${column} NOT GLOB ? ORDER BY id LIMIT ?`,
  );
  const write = database.prepare<unknown, [string | null, string]>(
    `UPDATE ${table} SET ${column} = ? WHERE id = ?`,
  );
  for (let last = ""; ;) {
    const rows = read.all(last, NORMAL, PAGE);
    for (const { id, text } of rows)
      write.run(repairedDatetime(text, { id, optional: field.optional }, now), id);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PAGE) break;
  }
  read.finalize();
  write.finalize();
}
