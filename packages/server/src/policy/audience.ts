import { bind, isFalse, type AuthValues, type Expr, type Scalar } from "@pylonsync/query";

/** A field that has a value. */
export interface RowKey {
  readonly field: string;
  readonly value: Scalar;
}

/** A list of more values than this is not a key: each row would be looked for in as many places. */
const MAX_LISTED_KEYS = 64;

/**
 * Keys of which a row has at least one wherever the condition holds for it.
 *
 * @param leaf the keys of a part that is neither `and` nor `or`; null where it names none
 * @returns null: the condition may hold for any row; an empty list: it holds for none
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
 * @param root where the row's paths start
 * @param auth the caller, where the condition is not bound to one yet
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
