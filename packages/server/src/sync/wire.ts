import type { ChangeEvent } from "@pylonsync/protocol";
import type { ChangeRecord, StoredRow, Value } from "../store/store.ts";

/** The row as an insert: what a reader gets who has nothing of it yet. */
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

/** The fields that the update changed. */
export function updateEvent(
  record: ChangeRecord,
  before: StoredRow,
  after: StoredRow,
): ChangeEvent {
  const data: Record<string, Value> = {};
  for (const [name, value] of Object.entries(after)) {
    if (before[name] !== value) data[name] = value;
  }
  return {
    seq: record.seq,
    entity: record.entity,
    row_id: record.rowId,
    kind: "update",
    data,
    timestamp: new Date(record.at).toISOString(),
  };
}

/** A row that is gone, or that the reader may no longer see: its id and nothing of its content. */
export function deleteEvent(seq: number, entity: string, rowId: string, at: number): ChangeEvent {
  return { seq, entity, row_id: rowId, kind: "delete", timestamp: new Date(at).toISOString() };
}
