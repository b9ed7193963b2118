import { QueryError } from "./errors.ts";
import { isScalarKind, type EntityShape, type Order } from "./expr.ts";
import { columnKind } from "./column-kind.ts";

const MAX_KEYS = 8;

/**
 * Parses `{due: "asc", title: "desc"}`, `[["due", "asc"]]` or `[{due: "asc"}]`. The first key is
 * the most significant.
 *
 * @throws QueryError INVALID_QUERY, INVALID_COLUMN
 */
export function parseOrder(value: unknown, entity?: EntityShape): Order[] {
  const keys = keysOf(value);
  if (keys.length > MAX_KEYS)
    throw new QueryError("INVALID_QUERY", `$order has at most ${MAX_KEYS} keys.`, {
      field: "$order",
    });
  return keys.map(([field, direction]) => {
    if (typeof field !== "string")
      throw new QueryError("INVALID_QUERY", "$order names a field.", { field: "$order" });
    const at = `$order.${field}`;
    if (entity !== undefined && !isScalarKind(columnKind(entity, field, at)))
      throw new QueryError("INVALID_QUERY", `${at}: ${field} has no order.`, { field: at });
    const lower = typeof direction === "string" ? direction.toLowerCase() : direction;
    if (lower !== "asc" && lower !== "desc")
      throw new QueryError("INVALID_QUERY", `${at} is "asc" or "desc".`, { field: at });
    return { field, direction: lower };
  });
}

function keysOf(value: unknown): (readonly [unknown, unknown])[] {
  if (Array.isArray(value))
    return value.flatMap((item: unknown) =>
      Array.isArray(item) ? [[item[0], item[1]] as const] : keysOf(item),
    );
  if (typeof value === "object" && value !== null) return Object.entries(value);
  throw new QueryError("INVALID_QUERY", "$order is an object of field to asc or desc.", {
    field: "$order",
  });
}
