import { isScalarKind, type EntityShape, type FieldKind } from "@pylonsync/query";
import { asStoredRow } from "../answered-rows.ts";
import { decimalKey, decimalOfKey } from "../sql/decimal-key.ts";
import type { StoredRow, Value } from "../store.ts";

/** What SQLite holds in a column. */
export type SqliteValue = string | number | null;

/**
 * A value as SQLite stores it: bool as 0 or 1, a json or an array as text, the rest as it is. A
 * decimal is brought to its key before.
 */
export function encode(value: Value): SqliteValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value;
}

/** The value of a json or an array, of its text. */
function decodeNested(text: string): Value {
  const value: Value = JSON.parse(text);
  return value;
}

/** A value of this kind as SQLite stores it. */
export function encodeOne(kind: FieldKind, value: Value): SqliteValue {
  return kind === "decimal" && typeof value === "string" ? decimalKey(value) : encode(value);
}

type Fields = Readonly<Record<string, Value>>;

/** Turns fields of a table's rows into what SQLite stores, by their names. */
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

/** What a value that a column of this kind holds stands for; undefined for a sum out of range. */
export function decodeOne(kind: FieldKind, value: SqliteValue): Value | undefined {
  if (value === null) return null;
  if (kind === "decimal") return decimalOfKey(String(value));
  if (kind === "bool") return value !== 0;
  return typeof value === "string" && !isScalarKind(kind) ? decodeNested(value) : value;
}

/** Turns the rows of a table into JSON-ready ones; made once for each table. */
export function createDecoder(shape: EntityShape): (row: Record<string, Value>) => StoredRow {
  const namesOf = (isKind: (kind: FieldKind) => boolean): string[] =>
    [...shape.fields].filter(([, kind]) => isKind(kind)).map(([name]) => name);
  const bools = namesOf((kind) => kind === "bool");
  const decimals = namesOf((kind) => kind === "decimal");
  const nested = namesOf((kind) => !isScalarKind(kind));
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
