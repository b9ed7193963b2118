import type { ChangeRecord, NewChange, StoredRow, Value } from "./store.ts";

/** A row as a database driver gives it: its columns by their names. */
export type AnsweredRow = Readonly<Record<string, Value>>;

/**
 * A text that a statement of ours has answered.
 *
 * @throws Error when the column has none: the statement and its reader do not fit together
 */
export function textOf(row: AnsweredRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw notThere(column, "text");
  return value;
}

/** As `textOf`, a number. */
export function numberOf(row: AnsweredRow, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw notThere(column, "number");
  return value;
}

/**
 * The row of a table of ours or of the app's, which always has an id.
 *
 * @throws Error when it has none
 */
export function asStoredRow(row: AnsweredRow): StoredRow {
  if (!isStoredRow(row)) throw notThere("id", "text");
  return row;
}

/** As `asStoredRow`, of several: the list itself. */
export function asStoredRows(rows: AnsweredRow[]): StoredRow[] {
  if (!areStoredRows(rows)) throw notThere("id", "text");
  return rows;
}

/** The columns of a change in the log, in the order in which both stores write them. */
export function changeValues(change: NewChange): (string | number | null)[] {
  const { entity, rowId, kind, before, after, at } = change;
  return [entity, rowId, kind, toJson(before), toJson(after), at];
}

/** A change as a store has read it: `seq, entity, row_id, kind, before, after, at`. */
export function toChange(row: AnsweredRow): ChangeRecord {
  return {
    seq: numberOf(row, "seq"),
    entity: textOf(row, "entity"),
    rowId: textOf(row, "row_id"),
    kind: kindOf(textOf(row, "kind")),
    before: fromJson(row["before"]),
    after: fromJson(row["after"]),
    at: numberOf(row, "at"),
  };
}

function isStoredRow(row: AnsweredRow): row is StoredRow {
  return typeof row["id"] === "string";
}

function areStoredRows(rows: AnsweredRow[]): rows is StoredRow[] {
  return rows.every(isStoredRow);
}

function kindOf(text: string): ChangeRecord["kind"] {
  if (text === "insert" || text === "update" || text === "delete") return text;
  throw new Error(`Unknown kind of change "${text}".`);
}

function toJson(row: StoredRow | null): string | null {
  return row === null ? null : JSON.stringify(row);
}

function fromJson(text: Value | undefined): StoredRow | null {
  if (typeof text !== "string") return null;
  const row: AnsweredRow = JSON.parse(text);
  return asStoredRow(row);
}

function notThere(column: string, type: string): Error {
  return new Error(`The database returned a row without the ${type} "${column}".`);
}
