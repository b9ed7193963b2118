import { isRowId, MAX_CURSOR_LENGTH, PylonError } from "@pylonsync/protocol";
import { describeValue, normaliseValue, type Scalar } from "@pylonsync/query";
import { sha256 } from "../util/sha256.ts";
import type { OrderKey } from "./page-position.ts";

const FORM = "1.";
const WAYS = ["after", "before", "through"] as const;

/**
 * Where a page begins: after a row, before it (the previous page), or at the row and before it (the
 * page before one that has become empty).
 */
export interface PageCursor {
  readonly way: (typeof WAYS)[number];
  /** The row's values of the fields in the order. */
  readonly values: readonly Scalar[];
}

/** The query to which pages belong: a cursor is only valid for its own query. */
export interface PagedQuery {
  readonly entity: string;
  readonly where: unknown;
  readonly keys: readonly OrderKey[];
}

/**
 * Encodes the cursor as text. It is bound to its query and grants no access: a page only contains
 * rows that its caller may read, wherever it begins. Anyone who has the cursor can read the values
 * in it.
 *
 * @throws PylonError INVALID_QUERY if the values are too long
 */
export function encodeCursor({ way, values }: PageCursor, query: PagedQuery): string {
  const content = JSON.stringify([way, ...values]);
  const text = `${FORM}${Buffer.from(content).toString("base64url")}.${seal(content, query)}`;
  if (text.length <= MAX_CURSOR_LENGTH) return text;
  throw new PylonError(
    "INVALID_QUERY",
    "The fields of the order contain strings that are too long for a page cursor.",
    { field: "order", hint: "Order by a field with shorter values." },
  );
}

/** @throws PylonError INVALID_QUERY for a text that was not created for this query */
export function decodeCursor(cursor: unknown, query: PagedQuery): PageCursor {
  if (typeof cursor !== "string")
    throw refusal(`cursor is ${describeValue(cursor)}, not a string.`);
  const [content, values] = contentOf(cursor);
  const [way, ...found] = values;
  const known = WAYS.find((name) => name === way);
  const isOfQuery = cursor.endsWith(`.${seal(content, query)}`);
  if (known === undefined || !isOfQuery || !fits(found, query.keys))
    throw refusal("The cursor does not belong to this query.");
  return { way: known, values: found };
}

function contentOf(cursor: string): readonly [string, readonly unknown[]] {
  const [form, encoded, , ...rest] = cursor.split(".");
  if (cursor.length > MAX_CURSOR_LENGTH || `${form}.` !== FORM || rest.length > 0) return ["", []];
  const content = Buffer.from(encoded ?? "", "base64url").toString();
  try {
    const values: unknown = JSON.parse(content);
    return Array.isArray(values) ? [content, values] : ["", []];
  } catch {
    return ["", []];
  }
}

/** A checksum of the query and the position in it. */
function seal(content: string, { entity, where, keys }: PagedQuery): string {
  const order = keys.map(({ field, direction, kind }) => [field, direction, kind]);
  return sha256(JSON.stringify([entity, sorted(where), order, content])).slice(0, 22);
}

/** The same filter may have its keys in a different order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, sorted(item)]);
}

function fits(values: readonly unknown[], keys: readonly OrderKey[]): values is readonly Scalar[] {
  return (
    values.length === keys.length &&
    keys.every(({ field, kind, isNullable }, index) => {
      const value = values[index];
      if (field === "id") return typeof value === "string" && isRowId(value);
      if (value === null) return isNullable;
      const normal = normaliseValue(kind, value);
      return normal.ok && normal.value === value;
    })
  );
}

function refusal(message: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field: "cursor",
    hint: "Send the nextCursor of the previous page, or null for the first page.",
  });
}
