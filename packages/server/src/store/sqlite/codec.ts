import type { EntityShape, FieldKind } from "@pylonsync/query";
import { asStoredRow } from "../answered-rows.ts";
import type { StoredRow, Value } from "../store.ts";

/** What SQLite holds in a column. */
export type SqliteValue = string | number | null;

/** A value as SQLite stores it: bool as 0 or 1, the rest as it is. */
export function encode(value: Value): SqliteValue {
  return typeof value === "boolean" ? (value ? 1 : 0) : value;
}

/** Turns the rows of a table into JSON-ready ones; made once for each table. */
export function createDecoder(shape: EntityShape): (row: Record<string, Value>) => StoredRow {
  const bools = [...shape.fields]
    .filter(([, kind]: [string, FieldKind]) => kind === "bool")
    .map(([name]) => name);
  return (row) => {
    for (const name of bools) {
      const value = row[name];
      if (value !== null && value !== undefined) row[name] = value !== 0;
    }
    return asStoredRow(row);
  };
}
