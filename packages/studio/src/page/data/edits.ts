import { valueIn, type Entity, type Field, type Fields } from "../model.ts";
import { parseEntered, textOf } from "./field-value.ts";

/** A field that was changed, but is not saved yet. */
interface Edit {
  /** What was entered; null for the value null. */
  readonly text: string | null;
  /** The value of the row when the field was first changed here. */
  readonly seen: unknown;
}

/**
 * The changes of a row that are not saved yet, by field. A map, because a field may have the name
 * of a property that every object has, such as `constructor`.
 */
export type Edits = ReadonlyMap<string, Edit>;

/** No changes. */
export const NO_EDITS: Edits = new Map();

/** Returns the text to edit: what was entered, or the value of the row. */
export function shownText(edits: Edits, row: Fields | null, name: string): string | null {
  const edit = edits.get(name);
  return edit === undefined ? textOf(valueIn(row, name)) : edit.text;
}

/** Adds what was entered for a field. A field that is as in the row again is not an edit. */
export function withEdit(
  edits: Edits,
  row: Fields | null,
  name: string,
  text: string | null,
): Edits {
  const next = new Map(edits);
  const value = valueIn(row, name);
  const isAsBefore = row !== null && text === textOf(value) && !isHiddenValue(row, name);
  if (isAsBefore) next.delete(name);
  else next.set(name, { text, seen: edits.has(name) ? edits.get(name)?.seen : value });
  return next;
}

/** Removes what was entered for a field. */
export function withoutEdit(edits: Edits, name: string): Edits {
  const next = new Map(edits);
  next.delete(name);
  return next;
}

/** Whether the server keeps this value to itself: the row does not have it, not even as null. */
function isHiddenValue(row: Fields, name: string): boolean {
  return !Object.hasOwn(row, name);
}

/** An operation of `POST /api/transact`. */
export type SaveOperation = {
  readonly entity: string;
  readonly data: Fields;
} & (
  | { readonly op: "insert" }
  | { readonly op: "update"; readonly id: string; readonly ifUnchanged?: Fields }
);

/**
 * Returns the write of the changed fields. An update is only done if none of them has changed in
 * the meantime: the server compares simple values, and the others are compared here.
 *
 * @param row the latest state of the row; null for a new one
 * @throws Error with a sentence about the field that can't be read, or that someone else changed
 */
export function saveOperation(
  { name: entity, fields }: Entity,
  row: (Fields & { readonly id: string }) | null,
  edits: Edits,
): SaveOperation {
  const changed = fields.flatMap((field) => {
    const edit = edits.get(field.name);
    return edit === undefined ? [] : [{ field, ...edit }];
  });
  const data = Object.fromEntries(
    changed.map(({ field, text }) => [field.name, valueOf(field, text)]),
  );
  if (row === null) return { op: "insert", entity, data };
  for (const { field, seen } of changed)
    if (!isComparable(field) && !isSame(valueIn(row, field.name), seen))
      throw new Error(`${field.name}: somebody else has changed it. Discard your changes first.`);
  const expected = changed
    .filter(({ field }) => isComparable(field))
    .map(({ field, seen }) => [field.name, seen] as const);
  const conditions = expected.length === 0 ? {} : { ifUnchanged: Object.fromEntries(expected) };
  return { op: "update", entity, id: row.id, ...conditions, data };
}

/** Whether two values have the same JSON, with the same order of keys. */
function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

function valueOf(field: Field, text: string | null): unknown {
  if (text === null) return null;
  const entered = parseEntered(text, field);
  if ("problem" in entered) throw new Error(`${field.name}: ${entered.problem}`);
  return entered.value;
}

/** Whether `ifUnchanged` may contain the field. */
function isComparable({ type, hidden }: Field): boolean {
  return hidden !== true && !["json", "array", "encrypted"].includes(type);
}
