import type { EntityShape } from "./expr.ts";
import type { ParsedFilter } from "./filter-parser.ts";
import { parseRowFilter } from "./parse-unknown-filter.ts";
import type { Relations } from "./related-names.ts";
import { comparable, storableText } from "./value-kind.ts";

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
  return parseRowFilter(filter, { entity, relations, values: { comparable, storableText } });
}
