import type { StoredRow } from "../store.ts";

/** The maximum number of rows that wait: their values are in memory meanwhile. */
const MAX_ROWS = 500;

/** A row to insert. */
export interface DeferredInsert {
  readonly entity: string;
  readonly row: StoredRow;
}

/**
 * The rows that a transaction inserts before its next statement: one statement inserts all rows of
 * a table. It is used for rows whose insert can't be rejected.
 */
export class DeferredInserts {
  #rows: DeferredInsert[] = [];

  /** The number of rows that wait. */
  get size(): number {
    return this.#rows.length;
  }

  /** Whether the rows must be written before another one is added. */
  get isFull(): boolean {
    return this.#rows.length >= MAX_ROWS;
  }

  add(entity: string, row: StoredRow): void {
    this.#rows.push({ entity, row });
  }

  /** Removes the rows that were added last. @param size the number of rows to keep */
  truncate(size: number): void {
    this.#rows.length = size;
  }

  /** Removes all rows, and returns them in groups with the same table and columns. */
  takeAll(): DeferredInsert[][] {
    const groups = new Map<string, DeferredInsert[]>();
    let last: DeferredInsert | undefined;
    let group: DeferredInsert[] = [];
    for (const one of this.#rows) {
      // Most rows are like the one before.
      if (last === undefined || !isAlike(one, last)) {
        const key = JSON.stringify([one.entity, ...Object.keys(one.row)]);
        group = groups.get(key) ?? [];
        groups.set(key, group);
      }
      group.push(one);
      last = one;
    }
    this.#rows = [];
    return [...groups.values()];
  }
}

function isAlike(one: DeferredInsert, other: DeferredInsert): boolean {
  if (one.entity !== other.entity) return false;
  const [columns, others] = [Object.keys(one.row), Object.keys(other.row)];
  return columns.length === others.length && columns.every((name, index) => name === others[index]);
}
