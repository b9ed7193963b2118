import type { ChangeRecord, NewChange, StoredRow, Value } from "./store.ts";

/** A row as a database driver returns it: its columns by name. */
export type AnsweredRow = Readonly<Record<string, Value>>;

/**
 * Returns the text in a column of the result of one of Pylon's statements.
 *
 * @throws Error if the column contains no text: the statement does not match the code that reads
 *   its result
 */
export function textOf(row: AnsweredRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw typeMismatch(column, "text");
  return value;
}

/** Like `textOf`, for a number. */
export function numberOf(row: AnsweredRow, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw typeMismatch(column, "number");
  return value;
}

/**
 * Checks a row of a system table or of an entity, which always has an id.
 *
 * @throws Error if it has no id
 */
export function asStoredRow(row: AnsweredRow): StoredRow {
  if (!isStoredRow(row)) throw typeMismatch("id", "text");
  return row;
}

/** Like `asStoredRow`, for several rows: returns the list itself. */
export function asStoredRows(rows: AnsweredRow[]): StoredRow[] {
  if (!areStoredRows(rows)) throw typeMismatch("id", "text");
  return rows;
}

/** The column values of a change in the log, in the order in which both stores write them. */
export function changeValues(change: NewChange): (string | number | null)[] {
  const { entity, rowId, kind, before, after, at } = change;
  return [entity, rowId, kind, toJson(before), toJson(after), at];
}

/** Converts a row of the log to a change: `seq, entity, row_id, kind, before, after, at`. */
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

function typeMismatch(column: string, type: string): Error {
  return new Error(`The database returned a row without the ${type} "${column}".`);
}
