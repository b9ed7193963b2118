import type { Row } from "@pylonsync/protocol";
import {
  compileFilter,
  FALSE,
  isRelatedFilter,
  relatedEntities,
  TRUE,
  type Expr,
  type Relation,
  type Relations,
} from "@pylonsync/query";
import type { LocalStore } from "./local-store.ts";

/** Returns whether a row matches; null if the local rows do not determine it. */
type Test = (row: Row) => boolean | null;

/** A placeholder without rows for relations that the server has not described. */
const UNKNOWN_RELATION: Relation = {
  entity: { name: "", fields: new Map() },
  key: "id",
  field: "id",
  readable: FALSE,
  relations: unknownRelations,
};

/** In an unknown entity, an object without operators is a relation's filter. */
function unknownRelations(_name: string, _at: string, asked: unknown): Relation | undefined {
  return isRelatedFilter(asked) ? UNKNOWN_RELATION : undefined;
}

/** The relations of an entity in the replica. The user may read all rows of the replica. */
export function relationsIn(store: LocalStore, owner: string): Relations {
  if (store.shape(owner) === undefined) return unknownRelations;
  return (name) => {
    const relation = store.relation(owner, name);
    if (relation === null) return undefined;
    if (relation.rows === null) return UNKNOWN_RELATION;
    const { entity, key, field, through } = relation.rows;
    const related = {
      entity: store.shape(entity) ?? { name: entity, fields: new Map() },
      readable: TRUE,
      relations: relationsIn(store, entity),
    };
    if (through === null) return { ...related, key, field };
    return {
      ...related,
      key: through.targetField,
      field: "id",
      through: { entity: through.entity, field, readable: TRUE },
    };
  };
}

/**
 * Tests rows by the related rows in the replica. If it holds only some rows, the server decides
 * what they leave open.
 *
 * @param isMember returns whether the row is in the server's result
 */
export function relatedTest(
  where: Expr,
  store: LocalStore,
  isMember: (id: string) => boolean,
): (row: Row) => boolean {
  const test = testOf(where, store);
  return (row) => test(row) ?? isMember(row.id);
}

function testOf(expr: Expr, store: LocalStore): Test {
  if (relatedEntities(expr).length === 0) {
    const test = compileFilter(expr);
    return (data) => test({ data });
  }
  if (expr.kind === "not") {
    const test = testOf(expr.item, store);
    return (row) => {
      const found = test(row);
      return found === null ? null : !found;
    };
  }
  if (expr.kind === "hasRelated") {
    const test = testOf(expr.where, store);
    const find = finder(store, expr.entity, expr.field);
    const name = expr.key.kind === "path" ? expr.key.name : "";
    return (row) => someOf(find(row[name] ?? null), test, true, store.isByDemand ? null : false);
  }
  const tests =
    expr.kind === "and" || expr.kind === "or" ? expr.items.map((item) => testOf(item, store)) : [];
  const isOr = expr.kind === "or";
  return (row) => someOf(tests, (test) => test(row), isOr, !isOr);
}

/** Returns the first decisive result; else null if one is open, and `otherwise` if none is. */
function someOf<T>(
  items: readonly T[],
  test: (item: T) => boolean | null,
  decisive: boolean,
  otherwise: boolean | null,
): boolean | null {
  let found = otherwise;
  for (const item of items) {
    const one = test(item);
    if (one === decisive) return one;
    if (one === null) found = null;
  }
  return found;
}

/** Finds rows by a field, through an index that is built once per version of the entity. */
function finder(
  store: LocalStore,
  entity: string,
  field: string,
): (value: unknown) => readonly Row[] {
  let version = -1;
  let byValue = new Map<unknown, Row[]>();
  return (value) => {
    if (version !== store.version(entity)) {
      version = store.version(entity);
      byValue = new Map();
      for (const row of store.list(entity)) {
        const found = byValue.get(row[field]);
        if (found === undefined) byValue.set(row[field], [row]);
        else found.push(row);
      }
    }
    return value === null ? [] : (byValue.get(value) ?? []);
  };
}
