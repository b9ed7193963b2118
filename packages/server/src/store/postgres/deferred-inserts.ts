import type { StoredRow } from "../store.ts";

/** The maximum number of rows that wait: their values are in memory meanwhile. */
const MAX_ROWS = 500;

/** Rows of one table with the same columns. */
export interface RowGroup {
  readonly entity: string;
  readonly rows: readonly StoredRow[];
}

/**
 * The rows that a transaction inserts before its next statement: one statement inserts all rows of
 * a table. It is used for rows whose insert can't be rejected.
 */
export class DeferredInserts {
  readonly #byKind = new Map<string, { readonly entity: string; readonly rows: StoredRow[] }>();
  #size = 0;

  /** The number of rows that wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether the rows must be written before another one is added. */
  get isFull(): boolean {
    return this.#size >= MAX_ROWS;
  }

  add(entity: string, row: StoredRow): void {
    const kind = JSON.stringify([entity, ...Object.keys(row)]);
    const known = this.#byKind.get(kind);
    if (known === undefined) this.#byKind.set(kind, { entity, rows: [row] });
    else known.rows.push(row);
    this.#size += 1;
  }

  /** Removes and returns all rows that wait. */
  takeAll(): RowGroup[] {
    const groups = [...this.#byKind.values()];
    this.#byKind.clear();
    this.#size = 0;
    return groups;
  }
}
