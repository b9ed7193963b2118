import { parseNamed, type FilterNames, type ParsedFilter } from "./filter-parser.ts";
import { parseNamedOrder } from "./parse-order.ts";
import { relatedOf, type RelatedCount, type Relations } from "./related-names.ts";

/**
 * Parses a filter over rows of an unknown schema: the same as `parseLocalFilter` without an entity,
 * but without the code for the kinds of fields, which a page only loads with a schema.
 *
 * @throws QueryError INVALID_QUERY, with the place in `field`
 */
export function parseUnknownFilter(filter: unknown, relations: Relations): ParsedFilter {
  const names = namesOf(relations, { count: 0 });
  return parseNamed(filter, names, (order) => parseNamedOrder(order, "$order", kindOf));
}

function namesOf(relations: Relations | undefined, related: RelatedCount): FilterNames {
  const inner = (_entity: unknown, others: Relations | undefined, count: RelatedCount) =>
    namesOf(others, count);
  return { entity: undefined, kindOf, related: relatedOf(undefined, relations, related, inner) };
}

function kindOf(): undefined {
  return undefined;
}
