import type { Value } from "./store.ts";

/** The size of a value that is not text. */
const FIXED_BYTES = 8;
/** The maximum number of bytes that a UTF-16 unit has in UTF-8. */
export const MAX_BYTES_PER_UNIT = 3;

/**
 * The size of a row: the length of texts, of json and of arrays, and a fixed size for all other
 * values.
 */
export function rowSize(row: Readonly<Record<string, Value>>): number {
  let size = 0;
  for (const name in row) {
    const value = row[name];
    if (typeof value === "string") size += value.length;
    else if (typeof value === "object" && value !== null) size += JSON.stringify(value).length;
    else size += FIXED_BYTES;
  }
  return size;
}

/** The size of a row in bytes of UTF-8. */
export function rowBytes(row: Readonly<Record<string, Value>>): number {
  return Object.values(row).reduce<number>((sum, value) => sum + bytesOf(value), 0);
}

/** The size of a value in bytes of UTF-8. */
export function bytesOf(value: Value): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (typeof value !== "object" || value === null) return FIXED_BYTES;
  return Buffer.byteLength(JSON.stringify(value));
}

/** Whether a read with `maxBytes` ended because of this limit: there may be more rows. */
export function isFull(
  rows: readonly Readonly<Record<string, Value>>[],
  maxBytes: number,
): boolean {
  let size = 0;
  return rows.some((row) => (size += rowSize(row)) >= maxBytes);
}

/** The rows up to the one at which their size reaches `maxBytes`. */
export function upTo<T extends Readonly<Record<string, Value>>>(rows: T[], maxBytes: number): T[] {
  let size = 0;
  const last = rows.findIndex((row) => (size += rowSize(row)) >= maxBytes);
  return last === -1 ? rows : rows.slice(0, last + 1);
}
