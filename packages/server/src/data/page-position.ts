import {
  and,
  literal,
  not,
  path,
  TRUE,
  type Expr,
  type Order,
  type Scalar,
  type ScalarKind,
} from "@pylonsync/query";
import type { StoredRow } from "../store/store.ts";

/** A key of a whole order: its last one is the id, which tells all rows apart. */
export interface OrderKey extends Order {
  readonly kind: ScalarKind;
  /** Rows without a value come after all others in `asc`, before them in `desc`. */
  readonly isNullable: boolean;
}

/** The order with its directions turned round: what came first comes last, nulls too. */
export function reversed(keys: readonly OrderKey[]): OrderKey[] {
  return keys.map((key) => ({ ...key, direction: key.direction === "asc" ? "desc" : "asc" }));
}

/** What the order looks at in a row. */
export function positionOf(keys: readonly OrderKey[], row: StoredRow): Scalar[] {
  return keys.map(({ field }) => {
    const value = row[field] ?? null;
    // What has an order is one value.
    return typeof value === "object" ? null : value;
  });
}

/**
 * The rows that come after a position, as conditions whose rows follow each other. Each has one
 * range at most, over a field whose fields before it are fixed, so that an index finds its first
 * row at once, however far from the beginning that is.
 *
 * @param values of the position, one for each key
 * @param isInclusive the row at the position belongs to it
 */
export function rowsAfter(
  keys: readonly OrderKey[],
  values: readonly Scalar[],
  isInclusive: boolean,
): Expr[] {
  const fixed = keys.map(({ field }, index) => equals(field, values[index] ?? null));
  const parts: Expr[] = isInclusive ? [and(...fixed)] : [];
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    const key = keys[index];
    if (key === undefined) continue;
    for (const later of laterValues(key, values[index] ?? null))
      parts.push(and(...fixed.slice(0, index), later));
  }
  return parts;
}

/** The values of a field that come after one, in their order. */
function laterValues({ field, kind, direction, isNullable }: OrderKey, value: Scalar): Expr[] {
  const isAscending = direction === "asc";
  if (value === null) return isAscending ? [] : [not(equals(field, null))];
  const nulls = isAscending && isNullable ? [equals(field, null)] : [];
  // False comes before true, and databases do not say so in the same way.
  if (kind === "bool") return [...(value === isAscending ? [] : [equals(field, !value)]), ...nulls];
  const op = isAscending ? ">" : "<";
  return [{ kind: "compare", op, left: path("data", field), right: literal(value) }, ...nulls];
}

function equals(field: string, value: Scalar): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(value) };
}

/** All rows, for a page from the beginning. */
export const FROM_START: readonly Expr[] = [TRUE];
