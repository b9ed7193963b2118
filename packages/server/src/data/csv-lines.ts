import type { FieldKind } from "@pylonsync/query";
import type { Entity } from "../schema/schema.ts";
import type { StoredRow, Value } from "../store/store.ts";

/** What a spreadsheet takes for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/;

/** How rows are written as CSV. */
export interface CsvOptions {
  /**
   * For a file that a spreadsheet opens: it begins with a byte order mark, and texts that would be
   * formulas begin with `'`. Such a file is not an exact copy.
   */
  readonly isForSpreadsheet: boolean;
}

/**
 * Yields an entity's rows as CSV: a header, then a line for each row. Texts are quoted, so that an
 * empty one differs from null.
 */
export async function* csvLines(
  { fields }: Entity,
  pages: AsyncIterable<readonly StoredRow[]>,
  { isForSpreadsheet }: CsvOptions,
): AsyncGenerator<string> {
  // Loaded here because only an export needs it.
  const { stringify } = await import("csv-stringify/sync");
  const columns = [...fields.values()];
  yield `${isForSpreadsheet ? "\ufeff" : ""}${["id", ...fields.keys()].join(",")}\n`;
  for await (const rows of pages)
    yield stringify(
      rows.map((row) => [
        cellOf("id", row.id, isForSpreadsheet),
        ...columns.map(({ name, kind }) => cellOf(kind, row[name] ?? null, isForSpreadsheet)),
      ]),
      { quoted_string: true },
    );
}

function cellOf(kind: FieldKind, value: Value, isForSpreadsheet: boolean): string | number | null {
  if (value === null || typeof value === "number") return value;
  const isPlain = typeof value === "string" && kind !== "json";
  const text = isPlain ? value : JSON.stringify(value);
  return isForSpreadsheet && kind !== "decimal" && FORMULA.test(text) ? `'${text}` : text;
}
