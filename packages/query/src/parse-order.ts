import { invalidQuery } from "./errors.ts";
import type { EntityShape, Order } from "./expr.ts";
import { isScalarKind, type FieldKind } from "./field-kinds.ts";
import { columnKind } from "./column-kind.ts";

const MAX_KEYS = 8;

/** How an order is parsed. */
export interface OrderOptions {
  /** The place of the order, for messages. Default `$order`. */
  readonly at?: string;
}

/**
 * Parses `{due: "asc", title: "desc"}`, `[["due", "asc"]]` or `[{due: "asc"}]`. The first key is
 * the most significant.
 *
 * @throws QueryError INVALID_QUERY, INVALID_COLUMN
 */
export function parseOrder(
  value: unknown,
  entity?: EntityShape,
  { at = "$order" }: OrderOptions = {},
): Order[] {
  const keys = parseNamedOrder(value, at, (field, place) => {
    if (entity === undefined) return undefined;
    const kind = columnKind(entity, field, place);
    if (isScalarKind(kind)) return kind;
    invalidQuery(place, `${place}: ${field} can't be ordered.`);
  });
  if (keys.length <= MAX_KEYS) return keys;
  invalidQuery(at, `${at} can have at most ${MAX_KEYS} keys.`);
}

/**
 * Parses an order like `parseOrder`, with any number of keys.
 *
 * @param kindOf returns the kind of a field, undefined if any kind is accepted; throws for one
 *   without an order
 */
export function parseNamedOrder(
  value: unknown,
  at: string,
  kindOf: (field: string, place: string) => FieldKind | undefined,
): Order[] {
  return keysOf(value, at).map(([field, direction]) => {
    if (typeof field !== "string") invalidQuery(at, `${at} must name a field.`);
    const place = `${at}.${field}`;
    const kind = kindOf(field, place);
    const lower = typeof direction === "string" ? direction.toLowerCase() : direction;
    if (lower !== "asc" && lower !== "desc")
      invalidQuery(place, `${place} must be "asc" or "desc".`);
    return { field, direction: lower, ...(kind === "decimal" ? { isDecimal: true } : {}) };
  });
}

function keysOf(value: unknown, at: string): (readonly [unknown, unknown])[] {
  if (Array.isArray(value))
    return value.flatMap((item: unknown) =>
      Array.isArray(item) ? [[item[0], item[1]] as const] : keysOf(item, at),
    );
  if (typeof value === "object" && value !== null) return Object.entries(value);
  invalidQuery(at, `${at} must be an object that maps fields to asc or desc.`);
}
