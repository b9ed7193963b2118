import { FALSE, type Expr } from "./expr.ts";
import { FilterParser, parseNamed, type FilterNames, type ParsedFilter } from "./filter-parser.ts";
import { parseNamedOrder } from "./parse-order.ts";

/**
 * Parses a filter over rows of an unknown schema: the same as `parseLocalFilter` without an entity,
 * but without the code for kinds of fields and for relations, which a page only loads with a
 * schema. Conditions on related rows are checked, and match no rows.
 *
 * @throws QueryError INVALID_QUERY, with the place in `field`
 */
export function parseUnknownFilter(filter: unknown): ParsedFilter {
  return parseNamed(filter, UNKNOWN, (order) => parseNamedOrder(order, "$order", () => undefined));
}

const UNKNOWN: FilterNames = {
  entity: undefined,
  kindOf: () => undefined,
  related: (_key, at, asked) =>
    isRelatedFilter(asked) ? (depth) => noRelatedRow(asked, at, depth) : undefined,
};

function noRelatedRow(asked: object, at: string, depth: number): Expr {
  new FilterParser(UNKNOWN).conditions(Object.entries(asked), at, depth + 1);
  return FALSE;
}

/** Whether the condition on an unknown key is a filter of related rows: it has no operators. */
export function isRelatedFilter(asked: unknown): asked is object {
  return isObject(asked) && Object.entries(asked).every(isCondition);
}

function isCondition([key, value]: [string, unknown]): boolean {
  return (
    !key.startsWith("$") || key === "$and" || key === "$or" || (key === "$not" && isObject(value))
  );
}

function isObject(value: unknown): value is object {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}
