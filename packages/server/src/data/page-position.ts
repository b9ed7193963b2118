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

/** A key of a total order, whose last key is the id, which is unique. */
export interface OrderKey extends Order {
  readonly kind: ScalarKind;
  /** Rows without a value come after all others in `asc`, and before them in `desc`. */
  readonly isNullable: boolean;
}

/** Returns the reversed order, which also reverses the place of nulls. */
export function reversed(keys: readonly OrderKey[]): OrderKey[] {
  return keys.map((key) => ({ ...key, direction: key.direction === "asc" ? "desc" : "asc" }));
}

/** Returns the row's values of the fields in the order. */
export function positionOf(keys: readonly OrderKey[], row: StoredRow): Scalar[] {
  return keys.map(({ field }) => {
    const value = row[field] ?? null;
    // A value that can be ordered is never an object.
    return typeof value === "object" ? null : value;
  });
}

/**
 * Returns the rows after a position, as a sequence of conditions whose rows follow each other. Each
 * has at most one range, over a field whose previous fields are fixed, so that an index finds its
 * first row immediately, however far from the beginning it is.
 *
 * @param values of the position, one per key
 * @param isInclusive whether the row at the position is included
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

/** Returns conditions for the values of a field after a value, in order. */
function laterValues({ field, kind, direction, isNullable }: OrderKey, value: Scalar): Expr[] {
  const isAscending = direction === "asc";
  if (value === null) return isAscending ? [] : [not(equals(field, null))];
  const nulls = isAscending && isNullable ? [equals(field, null)] : [];
  // False comes before true, which databases express in different ways.
  if (kind === "bool") return [...(value === isAscending ? [] : [equals(field, !value)]), ...nulls];
  const op = isAscending ? ">" : "<";
  return [{ kind: "compare", op, left: path("data", field), right: literal(value) }, ...nulls];
}

function equals(field: string, value: Scalar): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(value) };
}

/** All rows, for a page from the beginning. */
export const FROM_START: readonly Expr[] = [TRUE];
