import { bind, isFalse, type AuthValues, type Expr, type Scalar } from "@pylonsync/query";

/** A field that has a value. */
export interface RowKey {
  readonly field: string;
  readonly value: Scalar;
}

/** A longer list of values is not used as keys: each value would be a lookup of its own. */
const MAX_LISTED_KEYS = 64;

/**
 * Returns keys of which every row that satisfies the condition has at least one.
 *
 * @param leaf returns the keys of a part that is neither `and` nor `or`; null if the part names
 *   none
 * @returns null: any row may satisfy the condition; an empty list: no row satisfies it
 */
export function keysOf<K>(
  expr: Expr,
  leaf: (part: Expr) => readonly K[] | null,
): readonly K[] | null {
  if (expr.kind === "and") {
    let best: readonly K[] | null = null;
    for (const item of expr.items) {
      const keys = keysOf(item, leaf);
      if (keys !== null && (best === null || keys.length < best.length)) best = keys;
    }
    return best;
  }
  if (expr.kind !== "or") return leaf(expr);
  const all: K[] = [];
  for (const item of expr.items) {
    const keys = keysOf(item, leaf);
    if (keys === null) return null;
    all.push(...keys);
  }
  return all.length > MAX_LISTED_KEYS ? null : all;
}

/**
 * The keys that an equality names, for `keysOf`.
 *
 * @param root the root of the row's paths
 * @param auth the caller, if the condition is not bound to one yet
 */
export function equalityKeys(
  expr: Expr,
  root: "data" | "related",
  auth?: AuthValues,
): readonly RowKey[] | null {
  const part = auth === undefined ? expr : bind(expr, { auth });
  if (isFalse(part)) return [];
  if (part.kind === "compare" && part.op === "==") {
    const [row, other] =
      part.left.kind === "path" && part.left.root === root
        ? [part.left, part.right]
        : [part.right, part.left];
    if (row.kind !== "path" || row.root !== root || other.kind !== "literal") return null;
    return [{ field: row.name, value: other.value }];
  }
  if (part.kind !== "in" || part.item.kind !== "path" || part.item.root !== root) return null;
  if (part.list.kind !== "list" || part.list.items.length > MAX_LISTED_KEYS) return null;
  const { name: field } = part.item;
  const keys: RowKey[] = [];
  for (const item of part.list.items) {
    if (item.kind !== "literal") return null;
    keys.push({ field, value: item.value });
  }
  return keys;
}
