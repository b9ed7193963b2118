import { EqualityIndex } from "./equality-index.ts";
import { equalityOf, type View, type ForEachRow, type RowChange } from "./view.ts";

interface Use {
  readonly view: View;
  users: number;
}

/** The watched views of a table, and the indexes that they share. */
export class Views {
  readonly #forEachRow: ForEachRow;
  readonly #uses = new Map<string, Use>();
  /** Views that any change may affect. */
  readonly #unkeyed = new Set<View>();
  /**
   * Views with conditions on related rows: they are filled again, and not updated incrementally.
   */
  readonly related = new Set<View>();
  readonly #indexes = new Map<string, EqualityIndex>();

  /** @param forEachRow iterates over the whole table */
  constructor(forEachRow: ForEachRow) {
    this.#forEachRow = forEachRow;
  }

  /**
   * Keeps a view up to date until `release`. Subscribers to the same query share it.
   *
   * @param made a view of the current rows
   * @returns the view, or the existing one
   */
  acquire(made: View, wanted: number): View {
    let use = this.#uses.get(made.query.key);
    if (use === undefined) {
      use = { view: made, users: 0 };
      this.#uses.set(made.query.key, use);
      this.#route(made, "add");
    }
    use.users += 1;
    use.view.want(wanted);
    if (use.view.isShort) this.fill(use.view);
    return use.view;
  }

  release(view: View): void {
    const use = this.#uses.get(view.query.key);
    if (use === undefined) return;
    use.users -= 1;
    if (use.users > 0) return;
    this.#uses.delete(view.query.key);
    this.#route(view, "delete");
  }

  /** Returns all watched views. */
  *all(): Generator<View> {
    for (const { view } of this.#uses.values()) yield view;
  }

  /** Fills a view from the table, using an index if it helps. */
  fill(view: View): void {
    const equality = equalityOf(view.query.where);
    // Reading half of the table is as fast without an index.
    if (equality?.values.every((value) => typeof value === "boolean") !== false)
      view.fill(this.#forEachRow);
    else {
      const index = this.#index(equality.field);
      view.fill((visit) => index.forEachWith(equality.values, visit));
    }
  }

  /**
   * Applies changes that are already in the table. @returns the views whose rows may have changed
   */
  change(changes: readonly RowChange[]): ReadonlySet<View> {
    const changed = new Set<View>();
    for (const [field, index] of this.#indexes) if (!index.isUsed) this.#indexes.delete(field);
    for (const change of changes) {
      for (const view of this.#unkeyed) if (view.change(change)) changed.add(view);
      for (const index of this.#indexes.values())
        for (const view of index.change(change)) if (view.change(change)) changed.add(view);
    }
    for (const view of changed) if (view.isShort) this.fill(view);
    return changed;
  }

  /** All rows of the table may have changed. @returns all views */
  reset(): ReadonlySet<View> {
    const views = [...this.#uses.values()].map(({ view }) => view);
    for (const view of views) this.#route(view, "delete");
    this.#indexes.clear();
    for (const view of views) {
      this.#route(view, "add");
      this.fill(view);
    }
    return new Set(views);
  }

  #route(view: View, how: "add" | "delete"): void {
    if (view.query.related !== undefined) {
      this.related[how](view);
      return;
    }
    const equality = equalityOf(view.query.where);
    if (equality === undefined) this.#unkeyed[how](view);
    else this.#index(equality.field)[how](view, equality.values);
  }

  /** An unused index is dropped at the next change: a page may need it again soon. */
  #index(field: string): EqualityIndex {
    let index = this.#indexes.get(field);
    if (index === undefined) {
      index = new EqualityIndex(field, this.#forEachRow);
      this.#indexes.set(field, index);
    }
    return index;
  }
}
