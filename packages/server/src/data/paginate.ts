import {
  DEFAULT_PAGE_SIZE,
  isRowId,
  MAX_PAGE_BYTES,
  MAX_PAGE_SIZE,
  PylonError,
} from "@pylonsync/protocol";
import {
  and,
  columnKind,
  isScalarKind,
  parseOrder,
  type EntityShape,
  type Expr,
} from "@pylonsync/query";
import type { Entity } from "../schema/schema.ts";
import { rowSize } from "../store/row-size.ts";
import type { Reader, StoredRow } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import { decodeCursor, encodeCursor, type PageCursor, type PagedQuery } from "./page-cursor.ts";
import { FROM_START, positionOf, reversed, rowsAfter, type OrderKey } from "./page-position.ts";

/** The rows of a page of a list, and the cursors of the pages before and after it. */
export interface Page<R = StoredRow> {
  readonly page: R[];
  /** Null after the last row. */
  readonly nextCursor: string | null;
  /** Null before the first row. */
  readonly prevCursor: string | null;
  /** Whether no row comes after it. */
  readonly isDone: boolean;
}

/** A checked request for a page of a list. */
export interface PageRequest {
  readonly query: PagedQuery;
  readonly size: number;
  /** Null: from the beginning. */
  readonly cursor: PageCursor | null;
  /** Whether cursors are plain ids, as they have always been for rows in the order of their ids. */
  readonly isPlain: boolean;
}

const OPTIONS = ["where", "order", "cursor", "limit", "numItems"];
const SEPARATE = ["$order", "$limit", "$offset", "$search"];

/** @throws PylonError, QueryError INVALID_QUERY, INVALID_COLUMN */
export function parsePage(entity: Entity, options: unknown): PageRequest {
  if (!isRecord(options)) throw invalid("", "The options of a page must be an object.");
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key));
  if (unknown !== undefined)
    throw invalid(
      unknown,
      `A page has no option "${unknown}".`,
      `Use ${OPTIONS.join(", ")}, include.`,
    );
  const { where = {}, order, cursor = null } = options;
  if (!isRecord(where)) throw invalid("where", "A filter must be an object.");
  const separate = SEPARATE.find((key) => Object.hasOwn(where, key));
  if (separate !== undefined)
    throw invalid(`where.${separate}`, `The where of a page does not support "${separate}".`);
  const keys = keysOf(entity, order);
  const query = { entity: entity.name, where, keys };
  const isPlain = keys.length === 1 && order === undefined && Object.keys(where).length === 0;
  return {
    query,
    size: sizeOf(options),
    cursor: cursor === null ? null : cursorOf(cursor, query, isPlain),
    isPlain,
  };
}

/**
 * Reads a page. Rows that are not written in the meantime come once, in both directions.
 *
 * @param condition the condition of the list
 */
export async function readPage(
  reader: Reader,
  { query, size, cursor, isPlain }: PageRequest,
  condition: Expr,
): Promise<Page> {
  const isBack = cursor !== null && cursor.way !== "after";
  const keys = isBack ? reversed(query.keys) : query.keys;
  const parts =
    cursor === null ? FROM_START : rowsAfter(keys, cursor.values, cursor.way === "through");
  const { rows, hasMore } = await readParts(reader, query.entity, { keys, parts, condition, size });
  // Nothing is left before it, so the list has a new beginning.
  if (isBack && rows.length === 0)
    return readPage(reader, { query, size, cursor: null, isPlain }, condition);
  const page = isBack ? rows.toReversed() : rows;
  const [first, last] = [page[0], page.at(-1)];
  const cursorAt = (way: PageCursor["way"], row: StoredRow): string =>
    isPlain && way === "after"
      ? row.id
      : encodeCursor({ way, values: positionOf(query.keys, row) }, query);
  const hasNext = isBack || hasMore;
  const hasPrevious = isBack ? hasMore : cursor !== null;
  return {
    page,
    nextCursor: hasNext && last !== undefined ? cursorAt("after", last) : null,
    prevCursor: !hasPrevious
      ? null
      : first === undefined
        ? cursor && encodeCursor({ way: "through", values: cursor.values }, query)
        : cursorAt("before", first),
    isDone: !hasNext,
  };
}

async function readParts(
  reader: Reader,
  entity: string,
  list: {
    readonly keys: readonly OrderKey[];
    readonly parts: readonly Expr[];
    readonly condition: Expr;
    readonly size: number;
  },
): Promise<{ rows: StoredRow[]; hasMore: boolean }> {
  const { keys: order, size } = list;
  // A row that is written between two reads may be in both.
  const found = new Map<string, StoredRow>();
  let bytes = MAX_PAGE_BYTES;
  for (const part of list.parts) {
    const limit = size + 1 - found.size;
    if (limit <= 0 || bytes <= 0) break;
    const where = and(part, list.condition);
    for (const row of await reader.select({ entity, where, order, limit, maxBytes: bytes })) {
      if (!found.has(row.id)) bytes -= rowSize(row);
      found.set(row.id, row);
    }
  }
  return { rows: [...found.values()].slice(0, size), hasMore: found.size > size || bytes <= 0 };
}

/** Returns the total order. A cursor contains its values, so hidden fields are rejected. */
function keysOf({ publicShape }: Entity, order: unknown): OrderKey[] {
  const keys = order === undefined ? [] : parseOrder(order, publicShape, { at: "order" });
  const end = keys.findIndex(({ field }) => field === "id");
  const whole =
    end === -1 ? [...keys, { field: "id", direction: "asc" as const }] : keys.slice(0, end + 1);
  return whole.map((key) => ({
    ...key,
    kind: kindOf(publicShape, key.field),
    isNullable: key.field !== "id",
  }));
}

/** The order was checked, so the field exists and can be ordered. */
function kindOf(shape: EntityShape, field: string): OrderKey["kind"] {
  const kind = columnKind(shape, field, `order.${field}`);
  return isScalarKind(kind) ? kind : "string";
}

/** `numItems`, the older name, is clamped to the range; `limit` must be in it. */
function sizeOf({ limit, numItems }: Readonly<Record<string, unknown>>): number {
  if (limit === undefined) {
    if (numItems === undefined) return DEFAULT_PAGE_SIZE;
    const asked = Number(numItems);
    if (Number.isNaN(asked)) throw invalid("numItems", "numItems must be a number of rows.");
    return Math.min(Math.max(Math.trunc(asked), 1), MAX_PAGE_SIZE);
  }
  if (typeof limit === "number" && Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE_SIZE)
    return limit;
  throw invalid("limit", `limit must be a whole number from 1 to ${MAX_PAGE_SIZE}.`);
}

function cursorOf(cursor: unknown, query: PagedQuery, isPlain: boolean): PageCursor {
  if (isPlain && typeof cursor === "string" && isRowId(cursor))
    return { way: "after", values: [cursor] };
  return decodeCursor(cursor, query);
}

function invalid(field: string, message: string, hint?: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
