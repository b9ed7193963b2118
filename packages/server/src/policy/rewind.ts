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

/** A change of a row that policies may read by `exists`. */
export interface RelatedChange {
  readonly entity: string;
  readonly rowId: string;
  readonly before: Values | null;
  readonly after: Values | null;
}

/** Rows at an earlier time, by entity and id. Null: the row did not exist. */
export type EarlierRows<R = Values> = ReadonlyMap<string, ReadonlyMap<string, R | null>>;

/**
 * The rows that the changes affect, as they were before the first of them.
 *
 * @param changes in the order in which they were made
 */
export function earlierRows<R extends Values>(
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
 * Returns the condition as it was before some changes, in a form that can be evaluated by a store
 * that already contains them.
 *
 * Every `exists` over a changed entity is rewound in one pass, including nested and negated ones:
 * if they were rewound one at a time, two of them would each hide the effect of the other.
 *
 * @param expr reads `data`; its references to the caller are bound
 * @param former the rows that the changes affected, as they were before
 */
export function rewind(expr: Expr, former: EarlierRows): Expr {
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
 * Returns a condition on `data` for the rows whose result the change may have changed: those for
 * which the row before or after the change satisfies one of the `exists`.
 *
 * @param later rows that were changed after this change, as they were before that: the store that
 *   evaluates the condition contains these changes, too
 * @returns FALSE if the change does not affect the condition
 */
export function reachOf(expr: Expr, change: RelatedChange, later: EarlierRows = new Map()): Expr {
  const reached: Expr[] = [];
  const before = beforeChange(change, later);
  for (const { node, around } of existsOf(expr, change.entity)) {
    if (!differs(change, rowFieldsOf(node.where))) continue;
    reached.push(
      rewind(within(around, whereRelated(node.where, change.before)), before),
      rewind(within(around, whereRelated(node.where, change.after)), later),
    );
  }
  return or(...reached);
}

/**
 * By condition and entity: the fields of the entity's rows that its `exists` read. Conditions of
 * subscriptions are asked for every change of a row that they may read.
 */
const fieldsRead = new WeakMap<Expr, Map<string, ReadonlySet<string>>>();

/**
 * Whether a change may change the result of an `exists` in the condition. An update that changes
 * none of the fields that they read does not: most updates of a row from which others inherit who
 * may read them, such as the issue of a comment, are of this kind.
 */
export function mayAffect(expr: Expr, change: RelatedChange): boolean {
  let byEntity = fieldsRead.get(expr);
  if (byEntity === undefined) fieldsRead.set(expr, (byEntity = new Map()));
  let fields = byEntity.get(change.entity);
  if (fields === undefined) {
    const nodes = [...existsOf(expr, change.entity)];
    fields = new Set(nodes.flatMap(({ node }) => [...rowFieldsOf(node.where)]));
    byEntity.set(change.entity, fields);
  }
  return differs(change, fields);
}

/** Whether a row appears, disappears, or has another value in one of the fields. */
function differs({ before, after }: RelatedChange, fields: Iterable<string>): boolean {
  if (before === null || after === null) return true;
  for (const name of fields) if (before[name] !== after[name]) return true;
  return false;
}

/** The fields of the row of an `exists` that its condition reads, in inner `exists` too. */
function* rowFieldsOf(where: Expr, depth = 0): Generator<string> {
  if (where.kind === "path" && where.root === "related" && depth === 0) yield where.name;
  if (where.kind === "outer" && where.up === depth) yield where.name;
  const below = where.kind === "exists" ? depth + 1 : depth;
  for (const child of childrenOf(where)) yield* rowFieldsOf(child, below);
}

interface FoundExists {
  readonly node: ExistsExpr;
  /** The enclosing `exists`, the innermost last. */
  readonly around: readonly ExistsExpr[];
}

/** All `exists` over an entity, including nested ones. */
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
 * Turns an inner `exists`'s condition on outer rows into a condition on whether such an outer row
 * exists. The other conditions on the outer rows narrow it, as long as they read no other rows.
 */
function within(around: readonly ExistsExpr[], inner: Expr): Expr {
  const outer = around.at(-1);
  if (outer === undefined || isFalse(inner) || !readsEnclosing(inner)) return inner;
  const own = conjuncts(outer.where).filter((part) => !hasExists(part));
  return within(around.slice(0, -1), { ...outer, where: and(...own, inner) });
}

/** Whether the expression reads the row of an enclosing `exists`. */
function readsEnclosing(expr: Expr, depth = 0): boolean {
  if (expr.kind === "path") return expr.root === "related" && depth === 0;
  if (expr.kind === "outer") return expr.up >= depth;
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return childrenOf(expr).some((child) => readsEnclosing(child, below));
}

/** The rows as they were before the change and the later ones. */
export function beforeChange(change: RelatedChange, later: EarlierRows): EarlierRows {
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

/**
 * The condition evaluated for one row instead of any row: what remains is its condition on outer
 * rows.
 */
function whereRelated(where: Expr, row: Values | null): Expr {
  return row === null ? FALSE : lowered(bind(where, { related: row }));
}

/**
 * Removes one level of `exists`, whose row is bound: references to outer rows move one level in.
 */
function lowered(expr: Expr, depth = 0): Expr {
  if (expr.kind === "outer" && expr.up > depth)
    return expr.up === 1 ? path("related", expr.name) : { ...expr, up: expr.up - 1 };
  const below = expr.kind === "exists" ? depth + 1 : depth;
  return mapChildren(expr, (child) => lowered(child, below));
}
