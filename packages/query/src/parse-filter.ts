import { columnKind } from "./column-kind.ts";
import type { EntityShape } from "./expr.ts";
import { FIELD_CHECKS } from "./field-checks.ts";
import { FilterLimits } from "./filter-limits.ts";
import {
  parseNamed,
  type FilterNames,
  type ParsedFilter,
  type ServerChecks,
} from "./filter-parser.ts";
import { nearest } from "./nearest.ts";
import { parseOrder } from "./parse-order.ts";
import { relatedOf, type Relations } from "./related-names.ts";

/** How a filter is parsed. */
export interface FilterOptions {
  /** Absent: a filter can have no conditions on related rows. */
  readonly relations?: Relations;
}

/**
 * Parses a filter such as `{done: false, $or: [{title: {$like: "milk"}}, {due: {$lt:
 * "2026-01-01"}}], $order: {due: "asc"}, $limit: 20}`.
 *
 * @param entity checks names and kinds of values, and normalizes values; without it any name and
 *   value is accepted
 * @throws QueryError INVALID_QUERY, INVALID_COLUMN, with the place in `field`
 */
export function parseFilter(
  filter: unknown,
  entity?: EntityShape,
  { relations }: FilterOptions = {},
): ParsedFilter {
  const names = namesOf(entity, relations, { limits: new FilterLimits(), nearest });
  return parseNamed(filter, names, (order) => parseOrder(order, entity));
}

function namesOf(
  entity: EntityShape | undefined,
  relations: Relations | undefined,
  server: ServerChecks,
): FilterNames {
  if (entity === undefined) return { entity, kindOf: () => undefined, server };
  return {
    entity,
    server,
    kindOf: (field, at) => columnKind(entity, field, at),
    checks: FIELD_CHECKS,
    related: relatedOf(entity, relations, (shape, others) => namesOf(shape, others, server)),
  };
}
