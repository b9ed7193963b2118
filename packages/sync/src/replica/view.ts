import type { Row } from "@pylonsync/protocol";
import { conjuncts, rowComparator, type Expr, type Order, type Scalar } from "@pylonsync/query";
import { SortedRows, type CompareRows } from "./sorted-rows.ts";

/** What a row was and is; null where it was or is not there. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/** A filter and an order: queries that differ in their limits alone share a view. */
export interface ViewQuery {
  /** Tells it from others. */
  readonly key: string;
  readonly where: Expr;
  readonly order: readonly Order[];
  readonly matches: (row: Row) => boolean;
}

/** Goes through the rows among which those of a view are. */
export type ForEachRow = (visit: (row: Row) => void) => void;

/** Rows beyond a window that are held so that it need not be filled again for each that leaves. */
const SPARE_ROWS = 4;

/**
 * The rows that match a filter, in order, kept in step with the table: a change costs O(log n).
 *
 * Where only a window is asked for, some more rows than that are held and the rest is forgotten;
 * the window is filled from the table again when too many of its rows have left.
 */
export class View {
  readonly query: ViewQuery;
  /** Grows whenever rows that somebody asks for may differ. */
  version = 0;
  readonly #compare: CompareRows;
  #rows: SortedRows;
  /** Rows that somebody asks for, from the first. */
  #wanted = 0;
  /** All rows that match are held. */
  #isWhole = false;

  constructor(query: ViewQuery) {
    this.query = query;
    this.#compare = rowComparator(query.order);
    this.#rows = new SortedRows(this.#compare);
  }

  /** Whether it holds fewer rows than are asked for though there may be more. */
  get isShort(): boolean {
    return !this.#isWhole && this.#rows.length < this.#wanted;
  }

  /** How many rows are asked for, from the first; Infinity for all. */
  get wanted(): number {
    return this.#wanted;
  }

  /** Asks for the first rows, as many as this or more. It may be short then. */
  want(rows: number): void {
    this.#wanted = Math.max(this.#wanted, rows);
  }

  /** Takes the rows again. */
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

  /** A row of the table is another one now. @returns whether the rows asked for may differ */
  change({ before, after }: RowChange): boolean {
    const { matches } = this.query;
    const isAfter = after !== null && matches(after);
    const isBefore = before !== null && matches(before);
    // It is filled again when all changes are in the table.
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

  /** The rows from a place to another, in a list of their own. */
  rows(from: number, to: number): Row[] {
    return this.#rows.slice(from, to);
  }

  #capacity(): number {
    return 2 * this.#wanted + SPARE_ROWS;
  }
}

/** A field and the values one of which it has in every row that matches. */
export interface Equality {
  readonly field: string;
  readonly values: readonly Scalar[];
}

/**
 * What the filter demands of one field by equality, by which its rows and its view are found;
 * undefined where it demands nothing. Fields that tell few rows apart come last.
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
