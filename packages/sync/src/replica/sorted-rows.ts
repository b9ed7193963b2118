import type { Row } from "@pylonsync/protocol";

/** Compares two rows; 0 only for the same row. */
export type CompareRows = (a: Row, b: Row) => number;

/** A sorted list of rows: finding a position takes O(log n) comparisons. */
export class SortedRows {
  readonly #compare: CompareRows;
  #rows: Row[];

  /** @param rows must be sorted; the list takes ownership */
  constructor(compare: CompareRows, rows: Row[] = []) {
    this.#compare = compare;
    this.#rows = rows;
  }

  get length(): number {
    return this.#rows.length;
  }

  /** Whether the row sorts after all others. */
  isAfterAll(row: Row): boolean {
    const last = this.#rows.at(-1);
    return last === undefined || this.#compare(last, row) < 0;
  }

  /** Returns the position of the row, or where it would be inserted. */
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

  /** @returns its position */
  add(row: Row): number {
    const place = this.placeOf(row);
    this.#rows.splice(place, 0, row);
    return place;
  }

  /** @returns its previous position; -1 if it did not exist */
  remove(row: Row): number {
    const place = this.placeOf(row);
    if (this.#rows[place] !== row) return -1;
    this.#rows.splice(place, 1);
    return place;
  }

  /** Truncates the list. */
  cut(length: number): void {
    if (this.#rows.length > length) this.#rows.length = length;
  }

  /** Returns a copy of a part of the list. */
  slice(from: number, to: number): Row[] {
    return this.#rows.slice(from, to);
  }
}
