import type { Row } from "@pylonsync/protocol";
import { conjuncts, rowComparator, type Expr, type Order, type Scalar } from "@pylonsync/query";
import { SortedRows, type CompareRows } from "./sorted-rows.ts";

/** A row before and after a change; null if it did not or does not exist. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** A filter and an order: queries that only differ in their limits share a view. */
export interface ViewQuery {
  /** Identifies the query. */
  readonly key: string;
  readonly where: Expr;
  readonly order: readonly Order[];
  readonly matches: (row: Row) => boolean;
  /**
   * The entities of whose rows it has conditions; absent if it only has conditions on its own rows.
   */
  readonly related?: readonly string[] | undefined;
}

/** Iterates over rows that include all rows of a view. */
export type ForEachRow = (visit: (row: Row) => void) => void;

/**
 * The number of extra rows beyond a window, so that it need not be refilled for each removed row.
 */
const SPARE_ROWS = 4;

/**
 * The sorted rows that match a filter, updated with the table: a change costs O(log n).
 *
 * For a window, only some more rows than needed are held; the window is refilled from the table
 * when too many rows have left it.
 */
export class View {
  readonly query: ViewQuery;
  /** Increases whenever the needed rows may have changed. */
  version = 0;
  readonly #compare: CompareRows;
  #rows: SortedRows;
  /** The number of rows needed, from the first. */
  #wanted = 0;
  /** Whether all matching rows are held. */
  #isWhole = false;

  constructor(query: ViewQuery) {
    this.query = query;
    this.#compare = rowComparator(query.order);
    this.#rows = new SortedRows(this.#compare);
  }

  /** Whether it holds fewer rows than needed although there may be more. */
  get isShort(): boolean {
    return !this.#isWhole && this.#rows.length < this.#wanted;
  }

  /** The number of rows needed, from the first; Infinity for all. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Requests at least this number of rows. The view may then be short. */
  want(rows: number): void {
    this.#wanted = Math.max(this.#wanted, rows);
  }

  /** Loads the rows again. */
  fill(forEachRow: ForEachRow): void {
    const { matches } = this.query;
    this.version += 1;
    this.#isWhole = true;
    if (this.#wanted === Infinity) {
      const rows: Row[] = [];
      forEachRow((row) => {
        if (matches(row)) rows.push(row);
      });
      this.#rows = new SortedRows(this.#compare, rows.sort(this.#compare));
      return;
    }
    const capacity = this.#capacity();
    const rows = new SortedRows(this.#compare);
    this.#rows = rows;
    forEachRow((row) => {
      if (!matches(row)) return;
      const isFull = rows.length === capacity;
      if (isFull) this.#isWhole = false;
      if (isFull && rows.isAfterAll(row)) return;
      rows.add(row);
      rows.cut(capacity);
    });
  }

  /** Applies a change of the table. @returns whether the needed rows may have changed */
  change({ before, after }: RowChange): boolean {
    const { matches } = this.query;
    const isAfter = after !== null && matches(after);
    const isBefore = before !== null && matches(before);
    // It is refilled when all changes are in the table.
    if (this.isShort) return true;
    let first = Infinity;
    if (isBefore) {
      const place = this.#rows.remove(before);
      if (place >= 0) first = place;
    }
    if (isAfter && (this.#isWhole || !this.#rows.isAfterAll(after)))
      first = Math.min(first, this.#rows.add(after));
    if (this.#rows.length > 2 * this.#capacity()) {
      this.#rows.cut(this.#capacity());
      this.#isWhole = false;
    }
    if (first >= this.#wanted) return this.isShort;
    this.version += 1;
    return true;
  }

  /** Returns a copy of the rows in a range. */
  rows(from: number, to: number): Row[] {
    return this.#rows.slice(from, to);
  }

  #capacity(): number {
    return 2 * this.#wanted + SPARE_ROWS;
  }
}

/** A field, and the values of which every matching row has one. */
export interface Equality {
  readonly field: string;
  readonly values: readonly Scalar[];
}

/**
 * Returns the field that the filter compares for equality, by which rows and views are indexed;
 * undefined if there is none. Fields with few distinct values come last.
 */
export function equalityOf(where: Expr): Equality | undefined {
  const found = conjuncts(where).flatMap((part) => equalityOfPart(part) ?? []);
  return found.find(({ values }) => values.every((value) => typeof value === "string")) ?? found[0];
}

function equalityOfPart(part: Expr): Equality | undefined {
  if (part.kind === "compare" && part.op === "==") {
    const { left, right } = part;
    if (left.kind === "path" && left.root === "data" && right.kind === "literal")
      return { field: left.name, values: [right.value] };
  }
  if (part.kind !== "in" || part.item.kind !== "path" || part.item.root !== "data")
    return undefined;
  if (part.list.kind !== "list") return undefined;
  const values = part.list.items.flatMap((item) => (item.kind === "literal" ? [item.value] : []));
  return values.length === part.list.items.length ? { field: part.item.name, values } : undefined;
}
