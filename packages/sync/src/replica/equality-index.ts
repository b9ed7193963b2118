import type { Row } from "@pylonsync/protocol";
import { fieldValue } from "@pylonsync/query";
import type { ForEachRow, RowChange, View } from "./view.ts";

/**
 * An index of a table's rows by the value of a field, with the views that require one of the
 * values. It is shared by all views that filter by the field.
 */
export class EqualityIndex {
  readonly #field: string;
  readonly #forEachRow: ForEachRow;
  readonly #views = new Map<unknown, Set<View>>();
  /** Built on demand: a view that is already filled does not need it. */
  #rows: Map<unknown, Row[]> | null = null;

  /** @param forEachRow iterates over the whole table */
  constructor(field: string, forEachRow: ForEachRow) {
    this.#field = field;
    this.#forEachRow = forEachRow;
  }

  /** Whether a view uses it for changes. */
  get isUsed(): boolean {
    return this.#views.size > 0;
  }

  add(view: View, values: readonly unknown[]): void {
    for (const value of values) addTo(this.#views, value, view);
  }
  delete(view: View, values: readonly unknown[]): void {
    for (const value of values) deleteFrom(this.#views, value, view);
  }

  /** Iterates over the rows with one of the values. */
  forEachWith(values: readonly unknown[], visit: (row: Row) => void): void {
    this.#rows ??= this.#build();
    for (const value of new Set(values)) this.#rows.get(value)?.forEach(visit);
  }

  /** Applies a change. @returns the views that it may affect */
  change({ before, after }: RowChange): ReadonlySet<View> {
    const [old, now] = [
      fieldValue(before ?? {}, this.#field),
      fieldValue(after ?? {}, this.#field),
    ];
    if (this.#rows !== null) {
      if (before !== null) removeRow(this.#rows, old, before);
      if (after !== null) addRow(this.#rows, now, after);
    }
    const ofOld = before === null ? NONE : (this.#views.get(old) ?? NONE);
    const ofNow = after === null ? NONE : (this.#views.get(now) ?? NONE);
    if (ofOld === ofNow || ofNow.size === 0) return ofOld;
    return ofOld.size === 0 ? ofNow : new Set([...ofOld, ...ofNow]);
  }

  #build(): Map<unknown, Row[]> {
    const rows = new Map<unknown, Row[]>();
    this.#forEachRow((row) => addRow(rows, fieldValue(row, this.#field), row));
    return rows;
  }
}

const NONE: ReadonlySet<View> = new Set();

function addRow(rows: Map<unknown, Row[]>, value: unknown, row: Row): void {
  const list = rows.get(value);
  if (list === undefined) rows.set(value, [row]);
  else list.push(row);
}

/**
 * An array uses a third of the memory of a set, and scanning 100,000 rows takes some microseconds.
 */
function removeRow(rows: Map<unknown, Row[]>, value: unknown, row: Row): void {
  const list = rows.get(value);
  const place = list?.indexOf(row) ?? -1;
  const last = place >= 0 ? list?.pop() : undefined;
  if (list === undefined || last === undefined) return;
  if (last !== row) list[place] = last;
  if (list.length === 0) rows.delete(value);
}

function addTo<T>(sets: Map<unknown, Set<T>>, key: unknown, item: T): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([item]));
  else set.add(item);
}

function deleteFrom<T>(sets: Map<unknown, Set<T>>, key: unknown, item: T): void {
  const set = sets.get(key);
  set?.delete(item);
  if (set?.size === 0) sets.delete(key);
}
