import type { Value } from "./store.ts";

/** What a value that is not text counts as. */
const FIXED_BYTES = 8;
/** No UTF-16 unit takes more bytes of UTF-8. */
export const MAX_BYTES_PER_UNIT = 3;

/** How much a row holds: texts, json and arrays by their length, all else at a flat rate. */
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

/** The same in bytes of UTF-8. */
export function rowBytes(row: Readonly<Record<string, Value>>): number {
  return Object.values(row).reduce<number>((sum, value) => sum + bytesOf(value), 0);
}

/** The bytes of UTF-8 that a value counts as. */
export function bytesOf(value: Value): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (typeof value !== "object" || value === null) return FIXED_BYTES;
  return Buffer.byteLength(JSON.stringify(value));
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
