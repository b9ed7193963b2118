import type { Expr } from "./expr.ts";

/**
 * The entities of the related rows that a filter tests, at any depth; empty if it tests none. A
 * policy can look at rows in more ways, see `hasExists`.
 */
export function relatedEntities(filter: Expr): readonly string[] {
  switch (filter.kind) {
    case "and":
    case "or":
      return filter.items.flatMap(relatedEntities);
    case "not":
      return relatedEntities(filter.item);
    case "hasRelated":
      return [filter.entity, ...relatedEntities(filter.where)];
    default:
      return [];
  }
}
