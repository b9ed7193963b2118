import {
  and,
  bind,
  childrenOf,
  conjuncts,
  FALSE,
  hasExists,
  isFalse,
  literal,
  mapChildren,
  not,
  or,
  path,
  type ExistsExpr,
  type Expr,
  type Values,
} from "@pylonsync/query";

/** A change of a row that policies may look at by `exists`. */
export interface RelatedChange {
  readonly entity: string;
  readonly rowId: string;
  readonly before: Values | null;
  readonly after: Values | null;
}

/** Rows as they were at a time, by entity and id. Null: the row was not there. */
export type FormerRows<R = Values> = ReadonlyMap<string, ReadonlyMap<string, R | null>>;

/**
 * The rows that changes touch, as they were before the first of them.
 *
 * @param changes in the order in which they were made
 */
export function formerRows<R extends Values>(
  changes: Iterable<{
    readonly entity: string;
    readonly rowId: string;
    readonly before: R | null;
  }>,
): Map<string, Map<string, R | null>> {
  const former = new Map<string, Map<string, R | null>>();
  for (const { entity, rowId, before } of changes) {
    let rows = former.get(entity);
    if (rows === undefined) former.set(entity, (rows = new Map()));
    if (!rows.has(rowId)) rows.set(rowId, before);
  }
  return former;
}

/**
 * The condition as it was before some changes, in a form that a store can answer that holds them.
 *
 * Every `exists` over a changed entity is put back at once, nested and negated ones too: put back
 * one at a time, two of them would each hide what the other tells.
 *
 * @param expr reads `data`; what it reads of the caller is bound
 * @param former the rows that the changes touched, as they were before
 */
export function rewind(expr: Expr, former: FormerRows): Expr {
  if (former.size === 0) return expr;
  const rewound = mapChildren(expr, (child) => rewind(child, former));
  const rows = rewound.kind === "exists" ? former.get(rewound.entity) : undefined;
  if (rewound.kind !== "exists" || rows === undefined) return rewound;
  const { where } = rewound;
  return or(
    { ...rewound, where: and(isNoneOf("related", rows.keys()), where) },
    ...[...rows.values()].map((row) => whereRelated(where, row)),
  );
}

/**
 * The condition on `data` for the rows about which the change may have changed the answer: those
 * for which the changed row satisfied, or satisfies, one of the `exists`.
 *
 * @param later rows that were changed after it, as they were before that: a store that answers
 *   holds these changes too
 * @returns FALSE when the change has no bearing on it
 */
export function reachOf(expr: Expr, change: RelatedChange, later: FormerRows = new Map()): Expr {
  const reached: Expr[] = [];
  const before = beforeChange(change, later);
  for (const { node, around } of existsOf(expr, change.entity)) {
    reached.push(
      rewind(within(around, whereRelated(node.where, change.before)), before),
      rewind(within(around, whereRelated(node.where, change.after)), later),
    );
  }
  return or(...reached);
}

interface FoundExists {
  readonly node: ExistsExpr;
  /** Those that it is in, the innermost last. */
  readonly around: readonly ExistsExpr[];
}

/** All `exists` over an entity, those inside of others too. */
function* existsOf(
  expr: Expr,
  entity: string,
  around: readonly ExistsExpr[] = [],
): Generator<FoundExists> {
  if (expr.kind === "exists" && expr.entity === entity) yield { node: expr, around };
  const inside = expr.kind === "exists" ? [...around, expr] : around;
  for (const child of childrenOf(expr)) yield* existsOf(child, entity, inside);
}

/**
 * What an inner `exists` asks of outer rows, asked of them: there is an outer row for which it
 * holds. What else is asked of the outer rows narrows it, as far as it looks at no other rows.
 */
function within(around: readonly ExistsExpr[], inner: Expr): Expr {
  const outer = around.at(-1);
  if (outer === undefined || isFalse(inner) || !readsEnclosing(inner)) return inner;
  const own = conjuncts(outer.where).filter((part) => !hasExists(part));
  return within(around.slice(0, -1), { ...outer, where: and(...own, inner) });
}

/** Whether it reads the row of an `exists` that it stands in. */
function readsEnclosing(expr: Expr, depth = 0): boolean {
  if (expr.kind === "path") return expr.root === "related" && depth === 0;
  if (expr.kind === "outer") return expr.up >= depth;
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return childrenOf(expr).some((child) => readsEnclosing(child, below));
}

/** The rows as they were before the change and those after it. */
export function beforeChange(change: RelatedChange, later: FormerRows): FormerRows {
  const { entity, rowId, before } = change;
  return new Map([
    ...later,
    [entity, new Map([...(later.get(entity) ?? []), [rowId, before]])] as const,
  ]);
}

/** The condition that a row has none of these ids. */
export function isNoneOf(root: "data" | "related", ids: Iterable<string>): Expr {
  const items = [...ids].map((id) => literal(id));
  if (items.length === 0) return not(FALSE);
  const id = path(root, "id");
  const [only] = items;
  return items.length === 1 && only !== undefined
    ? { kind: "compare", op: "!=", left: id, right: only }
    : not({ kind: "in", item: id, list: { kind: "list", items } });
}

/** The condition for one row in place of any: what it reads of outer rows is left of it. */
function whereRelated(where: Expr, row: Values | null): Expr {
  return row === null ? FALSE : lowered(bind(where, { related: row }));
}

/** Takes away one level of `exists`, whose row is bound: what is outside of it comes nearer. */
function lowered(expr: Expr, depth = 0): Expr {
  if (expr.kind === "outer" && expr.up > depth)
    return expr.up === 1 ? path("related", expr.name) : { ...expr, up: expr.up - 1 };
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return mapChildren(expr, (child) => lowered(child, below));
}
