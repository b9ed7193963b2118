import type { ChangeEvent } from "@pylonsync/protocol";
import type { ChangeRecord, StoredRow, Value } from "../store/store.ts";

/** The row as an insert, for a reader that does not have it yet. */
export function insertEvent(seq: number, entity: string, row: StoredRow, at: number): ChangeEvent {
  return {
    seq,
    entity,
    row_id: row.id,
    kind: "insert",
    data: row,
    timestamp: new Date(at).toISOString(),
  };
}

/** The names of the fields in which the row differs before and after. */
export function changedFields({ before, after }: Pick<ChangeRecord, "before" | "after">): string[] {
  return Object.keys({ ...before, ...after }).filter((name) => before?.[name] !== after?.[name]);
}

/**
 * The fields of a row that changed.
 *
 * @param row the row after the change, with the fields that the reader may read
 * @param changed the names of fields, including some that the reader may not read
 * @returns undefined if no field that the reader may read has changed
 */
export function patchEvent(
  { seq, entity, rowId, at }: ChangeRecord,
  row: StoredRow,
  changed: Iterable<string>,
): ChangeEvent | undefined {
  const data: Record<string, Value> = {};
  for (const name of changed) {
    const value = Object.hasOwn(row, name) ? row[name] : undefined;
    if (value !== undefined) data[name] = value;
  }
  if (Object.keys(data).length === 0) return undefined;
  const timestamp = new Date(at).toISOString();
  return { seq, entity, row_id: rowId, kind: "update", data, timestamp };
}

/** A deletion, or a row that the reader may no longer read: its id without any content. */
export function deleteEvent(seq: number, entity: string, rowId: string, at: number): ChangeEvent {
  return { seq, entity, row_id: rowId, kind: "delete", timestamp: new Date(at).toISOString() };
}
