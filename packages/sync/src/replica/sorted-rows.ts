import type { Row } from "@pylonsync/protocol";

/** Tells which of two rows comes first; 0 only for the same row. */
export type CompareRows = (a: Row, b: Row) => number;

/**
 * Rows kept in an order: finding the place of one takes O(log n) comparisons.
 */
export class SortedRows {
  readonly #compare: CompareRows;
  #rows: Row[];

  /** @param rows in the order already, and the list's own from now on */
  constructor(compare: CompareRows, rows: Row[] = []) {
    this.#compare = compare;
    this.#rows = rows;
  }

  get length(): number {
    return this.#rows.length;
  }

  /** Whether the row comes after all of them. */
  isAfterAll(row: Row): boolean {
    const last = this.#rows.at(-1);
    return last === undefined || this.#compare(last, row) < 0;
  }

  /** Where the row is, or would be. */
  placeOf(row: Row): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#rows[middle];
      if (other !== undefined && this.#compare(other, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @returns the place where it is now */
  add(row: Row): number {
    const place = this.placeOf(row);
    this.#rows.splice(place, 0, row);
    return place;
  }

  /** @returns the place where it was; -1 when it was not there */
  remove(row: Row): number {
    const place = this.placeOf(row);
    if (this.#rows[place] !== row) return -1;
    this.#rows.splice(place, 1);
    return place;
  }

  /** Keeps the first rows only. */
  cut(length: number): void {
    if (this.#rows.length > length) this.#rows.length = length;
  }

  /** A copy of a part of the list. */
  slice(from: number, to: number): Row[] {
    return this.#rows.slice(from, to);
  }
}
