import type { Value } from "./store.ts";

/** What a value that is not text counts as. */
const FIXED_BYTES = 8;
/** No UTF-16 unit takes more bytes of UTF-8. */
export const MAX_BYTES_PER_UNIT = 3;

/** How much a row holds: its texts by their length, everything else at a flat rate. */
export function rowSize(row: Readonly<Record<string, Value>>): number {
  let size = 0;
  for (const name in row) {
    const value = row[name];
    size += typeof value === "string" ? value.length : FIXED_BYTES;
  }
  return size;
}

/** The same in bytes of UTF-8. */
export function rowBytes(row: Readonly<Record<string, Value>>): number {
  return Object.values(row).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? Buffer.byteLength(value) : FIXED_BYTES),
    0,
  );
}

/** Whether the rows of a read with `maxBytes` were ended by it: then there may be more. */
export function isFull(
  rows: readonly Readonly<Record<string, Value>>[],
  maxBytes: number,
): boolean {
  let size = 0;
  return rows.some((row) => (size += rowSize(row)) >= maxBytes);
}

/** The rows up to the one at which they reach `maxBytes`. */
export function upTo<T extends Readonly<Record<string, Value>>>(rows: T[], maxBytes: number): T[] {
  let size = 0;
  const last = rows.findIndex((row) => (size += rowSize(row)) >= maxBytes);
  return last === -1 ? rows : rows.slice(0, last + 1);
}
