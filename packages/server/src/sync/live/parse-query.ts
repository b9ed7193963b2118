import {
  JOINED_ROWS,
  MAX_PAGE_SIZE,
  MAX_SUBSCRIPTION_TERMS,
  PylonError,
  type Subscribe,
} from "@pylonsync/protocol";
import {
  bind,
  columnKind,
  hasExists,
  nodesOf,
  parseFilter,
  TRUE,
  type Expr,
  type ParsedFilter,
} from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import { parseIncludes, type Include, type IncludePath } from "../../data/include.ts";
import type { DataModel } from "../../data/model.ts";
import type { Caller } from "../../identity/identity.ts";
import type { Entity } from "../../schema/schema.ts";
import { relationsOf, type RelatedSource } from "../../data/related-filters.ts";
import { pathOf } from "../../data/relation-path.ts";
import { withExists } from "../../policy/related-exists.ts";
import type { BranchQuery, SubscriptionQuery } from "../subscriptions/subscription.ts";

const TERMS: ReadonlySet<Expr["kind"]> = new Set([
  "compare",
  "in",
  "contains",
  "startsWith",
  "endsWith",
  "containsFolded",
  "has",
]);
/** Options of filters that a subscription has as separate properties. */
const KEYS = ["$order", "$limit", "$offset", "$search"] as const;

/**
 * Parses the query of a `subscribe` message, and validates it against the schema.
 *
 * @throws PylonError, QueryError ENTITY_NOT_FOUND, INVALID_QUERY, INVALID_COLUMN
 */
export function parseQuery(
  { entity: name, where = {}, order, limit, include }: Subscribe,
  model: DataModel,
  caller: Caller,
): SubscriptionQuery {
  const entity = model.entityFor(name, caller);
  for (const key of KEYS)
    if (key in where)
      throw new PylonError("INVALID_QUERY", `A subscription does not support "${key}" in where.`, {
        field: `where.${key}`,
        hint:
          key === "$search"
            ? "Subscribe to the function $search instead, as useSearch does."
            : "Put order and limit next to where.",
      });
  const filter = order === undefined ? where : { ...where, $order: order };
  const source = sourceOf(model, caller);
  const parsed = source.filter(entity, filter);
  const branches = branchesOf(parseIncludes(entity, include ?? {}, "include", source));
  return {
    entity: entity.name,
    where: parsed.where,
    order: parsed.order,
    // The keys of related rows are tracked for at most as many rows as a page has.
    limit: branches.length === 0 ? limit : (limit ?? MAX_PAGE_SIZE),
    branches,
  };
}

/**
 * Parses a filter. Conditions on related rows become `exists`, restricted to rows that the caller
 * may read and to fields that it may filter by.
 */
function filterOf(entity: Entity, filter: unknown, source: RelatedSource): ParsedFilter {
  const { where, ...rest } = parseFilter(filter, source.shape(entity), {
    relations: relationsOf(entity, source),
  });
  // Conditions of policies on related rows do not count: they are not the client's.
  const own = hasExists(where)
    ? parseFilter(filter, source.shape(entity), {
        relations: relationsOf(entity, { ...source, readable: () => TRUE }),
      }).where
    : where;
  if (termsIn(own) > MAX_SUBSCRIPTION_TERMS)
    throw new PylonError(
      "INVALID_QUERY",
      `The where of a subscription may have at most ${MAX_SUBSCRIPTION_TERMS} conditions.`,
      { field: "where" },
    );
  return { ...rest, where: withExists(where) };
}

/** The number of conditions, each of which is evaluated for each change. */
export function termsIn(where: Expr): number {
  let terms = 0;
  for (const { kind } of nodesOf(where)) if (TERMS.has(kind)) terms += 1;
  return terms;
}

/**
 * Clients assemble related rows themselves, so they must be able to read the fields that refer to
 * them.
 */
function sourceOf(model: DataModel, caller: Caller): Parameters<typeof parseIncludes>[3] {
  const checked = (entity: Entity, fields: readonly string[], at: string): void => {
    for (const name of fields) columnKind(entity.publicShape, name, at);
  };
  const entity = (name: string): Entity => model.entityFor(name, caller);
  const joinOf = (relation: ManifestRelation, at: string): IncludePath => {
    const { key, field, through } = pathOf(relation);
    if (through === null) {
      checked(entity(relation.target), [field], at);
      return { key, field, through };
    }
    const between = entity(through.entity);
    checked(between, [field, through.targetField], at);
    return { key, field, through: { ...through, entity: between } };
  };
  const related: RelatedSource = {
    entity,
    shape: ({ publicShape }) => publicShape,
    // `now()` is not replaced yet, because the subscription outlives the current time.
    readable: ({ name }) =>
      caller.isAdmin ? TRUE : bind(model.rules.readRule(name), { auth: caller }),
    pathOf: joinOf,
  };
  return {
    entity,
    filter: (owner, filter) => filterOf(owner, filter, related),
    pathOf: (relation, at, owner) => {
      const found = joinOf(relation, at);
      checked(owner, [found.key], at);
      return found;
    },
  };
}

/** Rows of a join entity form a separate level. All of them are read for each parent. */
function branchesOf(includes: readonly Include[]): BranchQuery[] {
  return includes.map(
    ({ name, key, field, through, target, where, order, limit, includes: more }) => {
      const rows = { entity: target.name, where, order, limit, branches: branchesOf(more) };
      if (through === null) return { ...rows, name, key, field };
      const { entity, targetField } = through;
      return {
        entity: entity.name,
        where: TRUE,
        order: [],
        limit: undefined,
        name,
        key,
        field,
        branches: [{ ...rows, limit: undefined, name: JOINED_ROWS, key: targetField, field: "id" }],
      };
    },
  );
}
