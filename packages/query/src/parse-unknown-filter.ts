import type { EntityShape } from "./expr.ts";
import { parseNamed, type FilterNames, type ParsedFilter } from "./filter-parser.ts";
import { parseNamedOrder } from "./parse-order.ts";
import { relatedOf, type Relations } from "./related-names.ts";

/** What is known of the rows that a filter tests. */
export interface KnownOfRows {
  readonly entity?: EntityShape | undefined;
  readonly relations?: Relations | undefined;
  readonly values?: FilterNames["values"];
}

/**
 * Parses a filter over rows of an unknown schema: the same as `parseLocalFilter` without an entity,
 * but without the code for the kinds of fields, which a page only loads with a schema.
 *
 * @throws QueryError INVALID_QUERY, with the place in `field`
 */
export function parseUnknownFilter(filter: unknown, relations: Relations): ParsedFilter {
  return parseRowFilter(filter, { relations });
}

/** Parses a filter over a client's own rows. @throws QueryError as `parseLocalFilter` */
export function parseRowFilter(filter: unknown, known: KnownOfRows): ParsedFilter {
  const names = namesOf(known);
  return parseNamed(filter, names, (order) => parseNamedOrder(order, "$order", names.kindOf));
}

function namesOf({ entity, relations, values }: KnownOfRows): FilterNames {
  const related = relatedOf(entity, relations, (shape, others) =>
    namesOf({ entity: shape, relations: others, values }),
  );
  return { entity, kindOf: (field) => entity?.fields.get(field), values, related };
}
