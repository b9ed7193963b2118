import { isNestedKind, type EntityShape, type FieldKind } from "@pylonsync/query";
import { asStoredRow } from "../answered-rows.ts";
import { decimalKey, decimalOfKey } from "../sql/decimal-key.ts";
import type { StoredRow, Value } from "../store.ts";

/** The values that SQLite stores in a column. */
export type SqliteValue = string | number | null;

/**
 * Encodes a value for SQLite: bool as 0 or 1, a json or an array as text, the rest unchanged. A
 * decimal must have been converted to its key before.
 */
export function encode(value: Value): SqliteValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** Decodes the text of a json or an array. */
function decodeNested(text: string): Value {
  const value: Value = JSON.parse(text);
  return value;
}

/** Encodes a value of this kind for SQLite. */
export function encodeOne(kind: FieldKind, value: Value): SqliteValue {
  return kind === "decimal" && typeof value === "string" ? decimalKey(value) : encode(value);
}

type Fields = Readonly<Record<string, Value>>;

/** Creates a function that encodes fields of a table's rows, by name. */
export function createEncoder({ fields }: EntityShape): (values: Fields) => Fields {
  if (![...fields.values()].includes("decimal")) return (values) => values;
  return (values) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        encodeOne(fields.get(name) ?? "string", value),
      ]),
    );
}

/** Decodes a value from a column of this kind; undefined for a sum that is out of range. */
export function decodeOne(kind: FieldKind, value: SqliteValue): Value | undefined {
  if (value === null) return null;
  if (kind === "decimal") return decimalOfKey(String(value));
  if (kind === "bool") return value !== 0;
  return typeof value === "string" && isNestedKind(kind) ? decodeNested(value) : value;
}

/** Creates a function that makes the rows of a table JSON-ready; called once for each table. */
export function createDecoder(shape: EntityShape): (row: Record<string, Value>) => StoredRow {
  const namesOf = (isKind: (kind: FieldKind) => boolean): string[] =>
    [...shape.fields].filter(([, kind]) => isKind(kind)).map(([name]) => name);
  const bools = namesOf((kind) => kind === "bool");
  const decimals = namesOf((kind) => kind === "decimal");
  const nested = namesOf(isNestedKind);
  return (row) => {
    for (const name of decimals) {
      const value = row[name];
      if (typeof value === "string") row[name] = decimalOfKey(value) ?? null;
    }
    for (const name of bools) {
      const value = row[name];
      if (value !== null && value !== undefined) row[name] = value !== 0;
    }
    for (const name of nested) {
      const value = row[name];
      if (typeof value === "string") row[name] = decodeNested(value);
    }
    return asStoredRow(row);
  };
}
