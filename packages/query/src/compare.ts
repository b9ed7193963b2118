import { compareDecimals } from "./compare-decimals.ts";
import type { Order } from "./expr.ts";

/**
 * Compares two values of one kind: nulls last, false before true, numbers by size, text by code
 * point. Text is ordered by code point and not by UTF-16 unit, because both databases order it that
 * way.
 *
 * @returns negative, 0 or positive
 */
export function compareValues(a: unknown, b: unknown): number {
  return compare(a, b, compareText);
}

/** Compares two values like `compareValues`, but texts as decimals. */
export function compareNumerals(a: unknown, b: unknown): number {
  return compare(a, b, compareDecimals);
}

type TextOrder = (a: string, b: string) => number;

function compare(a: unknown, b: unknown, order: TextOrder): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "string" && typeof b === "string") return order(a, b);
  // A write that the server will reject may contain a value of another kind: the order stays total.
  if (typeof a !== typeof b) return typeof a < typeof b ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The last key of every order, which makes it deterministic. */
const ID_ORDER: Order = { field: "id", direction: "asc" };

/**
 * Sorts into a new array: by the first key, then the next, then by id. Nulls come last in `asc` and
 * first in `desc`.
 */
export function sortRows<R extends { readonly id: string }>(
  rows: readonly R[],
  order: readonly Order[],
): R[] {
  const keys = [...order, ID_ORDER].map(({ field, direction, isDecimal }) => {
    const valueOf = (row: R): unknown => (row as Record<string, unknown>)[field];
    let textOrder: TextOrder | undefined = isDecimal === true ? compareDecimals : undefined;
    return (a: R, b: R): number => {
      textOrder ??= textOrderOf(rows, valueOf);
      const result = compare(valueOf(a), valueOf(b), textOrder);
      return direction === "asc" ? result : -result;
    };
  });
  return rows.toSorted((a, b) => {
    for (const key of keys) {
      const result = key(a, b);
      if (result !== 0) return result;
    }
    return 0;
  });
}

/**
 * Compares two rows as `sortRows` sorts them. No two rows with different ids are equal.
 *
 * @example
 * rows.toSorted(rowComparator([{ field: "createdAt", direction: "desc" }]));
 */
export function rowComparator(order: readonly Order[]): (a: Row, b: Row) => number {
  const keys = [...order, ID_ORDER].map(({ field, direction, isDecimal }) => ({
    field,
    sign: direction === "asc" ? 1 : -1,
    textOrder: isDecimal === true ? compareDecimals : compareText,
  }));
  return (a, b) => {
    for (const { field, sign, textOrder } of keys) {
      const result = compare(a[field], b[field], textOrder);
      if (result !== 0) return result * sign;
    }
    return 0;
  };
}

type Row = Readonly<Record<string, unknown>>;

const SURROGATE = /[\ud800-\udfff]/;

/**
 * The engine's own comparison of text is several times as fast, and differs only for surrogates.
 */
function textOrderOf<R>(rows: readonly R[], valueOf: (row: R) => unknown): TextOrder {
  const isByUnit = rows.every((row) => {
    const value = valueOf(row);
    return typeof value !== "string" || !SURROGATE.test(value);
  });
  return isByUnit ? compareUnits : compareText;
}

function compareUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates represent code points above all other units, but their numbers are below U+E000. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
