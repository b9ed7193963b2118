import type { Database } from "bun:sqlite";
import { mendedDate } from "../../schema/mend-dates.ts";
import type { MigrationStep } from "../../schema/migration.ts";
import { quote } from "../sql/quote.ts";
import { SQL_NOW } from "./ddl.ts";

type MendStep = MigrationStep & { readonly kind: "mend_dates" };

const PAGE = 1_000;
/** The normal form; what is not of it was stored as a default was written. */
const NORMAL = "????-??-??T??:??:??.???Z";

/** The database's time: ISO 8601 with milliseconds and Z. */
export function timeOf(database: Database): string {
  return database.query<{ now: string }, []>(`SELECT ${SQL_NOW} AS now`).get()?.now ?? "";
}

/**
 * Brings the dates of a column to their normal form, in place. SQLite stores them as text, so an
 * older version could store anything that was given as a default.
 *
 * @param now what a `now` becomes in a row whose id does not tell when it was made
 */
export function mendDates(database: Database, { entity, field }: MendStep, now: string): void {
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
      write.run(mendedDate(text, { id, optional: field.optional }, now), id);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PAGE) break;
  }
  read.finalize();
  write.finalize();
}
