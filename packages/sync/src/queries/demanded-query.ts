import { compile, matchesOf } from "../replica/live-query.ts";
import type { LocalStore } from "../replica/local-store.ts";
import type { DemandedQuery } from "../replica/row-source.ts";

/**
 * Rebuilds a stored query in the form of a live query.
 *
 * @throws QueryError if it does not match the current fields
 */
export function demandedQuery(
  store: LocalStore,
  { entity, where, order, limit, include }: Omit<DemandedQuery, "matches">,
): DemandedQuery {
  const filter = order === undefined ? where : { ...where, $order: order };
  const query = compile({ where: filter, limit }, { store, entity });
  return { entity, where, order, limit, include, ...matchesOf(query) };
}
