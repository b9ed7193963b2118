import type { Database } from "bun:sqlite";
import type { MigrationStep } from "../../schema/migration.ts";
import { convertField } from "../../schema/field-code.ts";
import { kindOf } from "../../schema/field-kind.ts";
import { notConvertible } from "../rows-do-not-fit.ts";
import { decodeOne, encodeOne, type SqliteValue } from "./codec.ts";
import { quote } from "../sql/quote.ts";
import { columnTypeOf } from "./ddl.ts";

type RetypeStep = MigrationStep & { readonly kind: "retype_column" | "convert_column" };

const PAGE = 1_000;

/**
 * Converts the values of a column to another type, by means of a second column.
 *
 * @throws PylonStartError if a value has no equivalent in the new type and the field can't be null,
 *   or if the app's function returns no valid value for it
 */
export function retypeColumn(database: Database, { kind, entity, from, to }: RetypeStep): void {
  const [table, column, spare] = [quote(entity), quote(to.name), quote(`_pylon_retype_${to.name}`)];
  database.run(`ALTER TABLE ${table} ADD COLUMN ${spare} ${columnTypeOf(to)}`);
  const read = database.prepare<{ id: string; value: SqliteValue }, [string, number]>(
    `SELECT id, ${column} AS value FROM ${table}
       WHERE id > ? AND ${column} IS NOT NULL ORDER BY id LIMIT ?`,
  );
  const write = database.prepare<unknown, [SqliteValue, string]>(
    `UPDATE ${table} SET ${spare} = ? WHERE id = ?`,
  );
  const [oldKind, newKind] = [kindOf(from.type), kindOf(to.type)];
  for (let last = ""; ;) {
    const rows = read.all(last, PAGE);
    for (const { id, value } of rows) {
      const known = decodeOne(oldKind, value) ?? null;
      const made = convertField(known, from, to);
      if (!made.ok && (kind === "convert_column" || !to.optional))
        throw notConvertible(entity, to.name, { id, reason: made.reason });
      write.run(encodeOne(newKind, made.ok ? made.value : null), id);
    }
    last = rows.at(-1)?.id ?? last;
    if (rows.length < PAGE) break;
  }
  read.finalize();
  write.finalize();
  database.run(`ALTER TABLE ${table} DROP COLUMN ${column}`);
  database.run(`ALTER TABLE ${table} RENAME COLUMN ${spare} TO ${column}`);
}
