import { MAX_SUBSCRIPTION_TERMS, PylonError, type Subscribe } from "@pylonsync/protocol";
import { nodesOf, parseFilter, type Expr, type Relations } from "@pylonsync/query";
import type { DataModel } from "../../data/model.ts";
import type { Entity } from "../../schema/schema.ts";
import type { SubscriptionQuery } from "../subscriptions/subscription.ts";

const TERMS: ReadonlySet<Expr["kind"]> = new Set([
  "compare",
  "in",
  "contains",
  "startsWith",
  "endsWith",
  "containsFolded",
]);
/** What a filter may say beside its conditions, and a subscription says elsewhere. */
const KEYS = ["$order", "$limit", "$offset", "$search"] as const;

/** The feed finds the subscriptions of a change by their own rows and by policies. */
function refuseRelations(entity: Entity): Relations {
  return (name, at) => {
    if (!entity.relations.has(name)) return undefined;
    throw new PylonError("INVALID_QUERY", "A subscription takes no filter over related rows.", {
      field: `where.${at}`,
      hint: `Subscribe by fields of ${entity.name}, or ask /api/query/${entity.name}.`,
    });
  };
}

/**
 * The query of a `subscribe`, checked against the schema.
 *
 * @throws PylonError, QueryError ENTITY_NOT_FOUND, INVALID_QUERY, INVALID_COLUMN
 */
export function parseQuery(
  { entity: name, where = {}, order, limit }: Subscribe,
  model: DataModel,
): SubscriptionQuery {
  const entity = model.entity(name);
  for (const key of KEYS)
    if (key in where)
      throw new PylonError("INVALID_QUERY", `A subscription takes no "${key}" in where.`, {
        field: `where.${key}`,
        hint: "Give order and limit beside where.",
      });
  const filter = order === undefined ? where : { ...where, $order: order };
  const parsed = parseFilter(filter, entity.publicShape, { relations: refuseRelations(entity) });
  let terms = 0;
  for (const node of nodesOf(parsed.where)) if (TERMS.has(node.kind)) terms += 1;
  if (terms > MAX_SUBSCRIPTION_TERMS)
    throw new PylonError(
      "INVALID_QUERY",
      `The where of a subscription has at most ${MAX_SUBSCRIPTION_TERMS} conditions.`,
      { field: "where" },
    );
  return { entity: entity.name, where: parsed.where, order: parsed.order, limit };
}
