import type { ClientChange, Row } from "@pylonsync/protocol";
import type { LocalChange } from "./local-changes.ts";
import type { RowChange, View } from "./view.ts";
import { Views } from "./views.ts";

/** Converts the values of a write as the server will. The row is null for an insert. */
export type Normalise = (
  data: Readonly<Record<string, unknown>>,
  row: Row | null,
) => Readonly<Record<string, unknown>>;

/** The effects of a step: the ids of changed rows, and the views that may have changed. */
export interface TableChange {
  readonly ids: Iterable<string>;
  readonly views: ReadonlySet<View>;
}

/**
 * The rows of one entity: the confirmed rows of the server, overlaid with pending writes.
 *
 * A row whose values stay the same stays the same object, regardless of its source.
 */
export class Table {
  readonly views = new Views((visit) => this.forEachRow(visit));
  readonly #normalise: Normalise;
  #confirmed = new Map<string, Row>();
  /** The pending writes by row, in order. */
  #pending = new Map<string, readonly LocalChange[]>();
  /** The rows with pending writes, as they are shown; null for a deleted row. */
  readonly #overlay = new Map<string, Row | null>();
  /** The rows that a step has touched, as they were shown before. */
  readonly #before = new Map<string, Row | null>();

  constructor(normalise: Normalise) {
    this.#normalise = normalise;
  }

  get(id: string): Row | null {
    const overlaid = this.#overlay.get(id);
    return overlaid !== undefined ? overlaid : (this.#confirmed.get(id) ?? null);
  }

  forEachRow(visit: (row: Row) => void): void {
    for (const [id, row] of this.#confirmed) if (!this.#overlay.has(id)) visit(row);
    for (const row of this.#overlay.values()) if (row !== null) visit(row);
  }

  /** Returns a row without pending writes. */
  confirmed(id: string): Row | null {
    return this.#confirmed.get(id) ?? null;
  }

  /** All rows without pending writes. */
  get allConfirmed(): ReadonlyMap<string, Row> {
    return this.#confirmed;
  }

  /** Applies an event of the server; `settle` ends the step. */
  confirm(id: string, kind: ClientChange["kind"], data: ClientChange["data"]): void {
    this.#touch(id);
    const known = this.#confirmed.get(id);
    if (kind === "delete") this.#confirmed.delete(id);
    else if (kind === "insert") this.#confirmed.set(id, rowOf(id, data));
    // A patch of a missing row concerns a row that this client may no longer read.
    else if (known !== undefined) this.#confirmed.set(id, { ...known, ...data, id });
  }

  /** Appends pending writes; `settle` ends the step. */
  append(changes: readonly LocalChange[]): void {
    for (const change of changes) {
      const id = change.row_id;
      this.#touch(id);
      this.#pending.set(id, [...(this.#pending.get(id) ?? []), change]);
    }
  }

  /** Replaces all pending writes; `settle` ends the step. */
  setPending(changes: readonly LocalChange[]): void {
    const before = this.#pending;
    this.#pending = new Map();
    for (const id of before.keys()) this.#touch(id);
    this.append(changes);
    for (const [id, known] of before)
      if (isSameList(known, this.#pending.get(id))) this.#before.delete(id);
  }

  /**
   * Ends a step: rows, overlay and views are consistent again.
   *
   * @returns the visible changes; null if there are none
   */
  settle(): TableChange | null {
    if (this.#before.size === 0) return null;
    const rows: RowChange[] = [];
    for (const [id, before] of this.#before) {
      const after = this.#settleRow(id, before);
      if (after !== before) rows.push({ before, after });
    }
    this.#before.clear();
    if (rows.length === 0) return null;
    const ids = rows.map(({ before, after }) => (after ?? before)?.id ?? "");
    return { ids, views: this.views.change(rows) };
  }

  /**
   * Replaces all confirmed rows.
   *
   * @param rows the new rows; the table takes ownership
   * @returns the visible changes; null if there are none
   */
  replace(rows: Map<string, Row>): TableChange | null {
    const before = new Map<string, Row | null>();
    this.forEachRow((row) => before.set(row.id, row));
    this.#before.clear();
    this.#overlay.clear();
    this.#confirmed = rows;
    for (const id of this.#pending.keys()) this.#settleRow(id, before.get(id) ?? null);
    if (before.size > 0)
      for (const [id, row] of rows) {
        const known = before.get(id);
        if (known && !this.#pending.has(id) && isSameRow(known, row)) rows.set(id, known);
      }
    const ids = this.#idsUnlike(before);
    return ids.next().done === true
      ? null
      : { ids: this.#idsUnlike(before), views: this.views.reset() };
  }

  *#idsUnlike(before: ReadonlyMap<string, Row | null>): Generator<string> {
    for (const [id, row] of before) if (this.get(id) !== row) yield id;
    for (const id of this.#confirmed.keys()) if (!before.has(id) && this.get(id)) yield id;
    for (const [id, row] of this.#overlay)
      if (row !== null && !before.has(id) && !this.#confirmed.has(id)) yield id;
  }

  /**
   * Resolves the pending updates of a row to their current results.
   *
   * @returns the values of each update, in order; empty if the row does not exist
   */
  resolved(id: string): ReadonlyMap<LocalChange, Readonly<Record<string, unknown>>> {
    const values = new Map<LocalChange, Readonly<Record<string, unknown>>>();
    let row = this.#confirmed.get(id) ?? null;
    for (const change of this.#pending.get(id) ?? []) {
      if (change.kind === "update" && row !== null)
        values.set(change, this.#normalise(change.data ?? {}, row));
      row = this.#withChange(row, change);
    }
    return values;
  }

  #withChange(row: Row | null, { kind, data, row_id: id }: LocalChange): Row | null {
    if (kind === "delete" || (kind === "update" && row === null)) return null;
    return { ...row, ...this.#normalise(data ?? {}, kind === "update" ? row : null), id };
  }

  #touch(id: string): void {
    if (!this.#before.has(id)) this.#before.set(id, this.get(id));
  }

  /** Updates the overlay of a row. @returns the row as it is shown now */
  #settleRow(id: string, before: Row | null): Row | null {
    const pending = this.#pending.get(id);
    const confirmed = this.#confirmed.get(id) ?? null;
    if (pending === undefined) {
      this.#overlay.delete(id);
      if (confirmed === null || before === null || !isSameRow(confirmed, before)) return confirmed;
      this.#confirmed.set(id, before);
      return before;
    }
    let row = confirmed;
    for (const change of pending) row = this.#withChange(row, change);
    if (row !== null && before !== null && isSameRow(row, before)) row = before;
    // An update of a missing row has no effect.
    if (row === null && confirmed === null) this.#overlay.delete(id);
    else this.#overlay.set(id, row);
    return row;
  }
}

/** Creates a row from its values. */
export function rowOf(id: string, data: Readonly<Record<string, unknown>> | undefined): Row {
  return { ...data, id };
}

/** Whether both have the same fields with the same values. */
export function isSameRow(one: Row, other: Row): boolean {
  if (one === other) return true;
  let fields = 0;
  for (const name in one) {
    if (!isSameValue(one[name], other[name]) || !Object.hasOwn(other, name)) return false;
    fields += 1;
  }
  return Object.keys(other).length === fields;
}

/** json and array values are new objects each time they arrive. */
function isSameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return false;
  const [entries, others] = [Object.entries(one), new Map<string, unknown>(Object.entries(other))];
  return (
    Array.isArray(one) === Array.isArray(other) &&
    entries.length === others.size &&
    entries.every(([key, value]) => others.has(key) && isSameValue(value, others.get(key)))
  );
}

function isSameList(
  one: readonly LocalChange[],
  other: readonly LocalChange[] | undefined,
): boolean {
  return (
    other !== undefined &&
    one.length === other.length &&
    one.every((change, index) => change === other[index])
  );
}
