import type { EntityShape } from "./expr.ts";
import { FIELD_CHECKS } from "./field-checks.ts";
import { parseNamed, type FilterNames, type ParsedFilter } from "./filter-parser.ts";
import { parseNamedOrder } from "./parse-order.ts";
import { relatedOf, type Relations } from "./related-names.ts";

/**
 * Parses a filter over a client's own rows, as `parseFilter` does. A page may be older than the
 * server's schema, so a field that the entity does not have is null in every row.
 *
 * @param entity the fields by which values are normalized; without it (if the schema is not known)
 *   any value is accepted
 * @param relations how relations lead to rows; without it no key is a condition on related rows
 * @throws QueryError INVALID_QUERY, with the place in `field`
 * @example
 * parseLocalFilter({ done: false, $order: { title: "asc" }, $limit: 20 });
 */
export function parseLocalFilter(
  filter: unknown,
  entity?: EntityShape,
  relations?: Relations,
): ParsedFilter {
  const names = namesOf(entity, relations);
  return parseNamed(filter, names, (order) => parseNamedOrder(order, "$order", names.kindOf));
}

function namesOf(entity: EntityShape | undefined, relations: Relations | undefined): FilterNames {
  return {
    entity,
    kindOf: (field) => entity?.fields.get(field),
    checks: FIELD_CHECKS,
    related: relatedOf(entity, relations, namesOf),
  };
}
