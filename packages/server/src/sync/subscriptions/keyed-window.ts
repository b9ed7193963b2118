import type { Order } from "@pylonsync/query";
import type { StoredRow, Value } from "../../store/store.ts";
import { Window, type ShownRows, type WindowChange } from "./window.ts";

/** How the rows of a keyed window are shown. */
export interface KeyedWindowOptions {
  /** The field that names the parent of a row. */
  readonly field: string;
  readonly order: readonly Order[];
  /** Most rows of each parent. */
  readonly limit: number | undefined;
  /** Fields that lead to further related rows. */
  readonly kept: readonly string[];
}

/** The rows that belong to the rows of another window: of each of these the first ones. */
export class KeyedWindow implements ShownRows {
  readonly #options: KeyedWindowOptions;
  readonly #windows = new Map<Value, Window>();
  /** Under which key a row is shown. */
  readonly #keyOf = new Map<string, Value>();
  /** Rows of keys that went away since the last commit. */
  readonly #left = new Set<string>();
  /** Rows that were put since the last commit; they may not be shown any longer. */
  readonly #touched = new Set<string>();
  #isChanged = false;

  constructor(options: KeyedWindowOptions) {
    this.#options = options;
  }

  /** What names the parents. */
  get keys(): ReadonlySet<Value> {
    return new Set(this.#windows.keys());
  }

  get isChanged(): boolean {
    if (this.#isChanged) return true;
    for (const window of this.#windows.values()) if (window.isChanged) return true;
    return false;
  }

  /** How many rows there are. */
  get size(): number {
    let size = 0;
    for (const { entries } of this.#windows.values()) size += entries.length;
    return size;
  }

  /** The length of the stored texts. */
  get characters(): number {
    let characters = 0;
    for (const window of this.#windows.values()) characters += window.characters;
    return characters;
  }

  /** Keys whose windows lack rows that are not known here. */
  get lacking(): readonly Value[] {
    return [...this.#windows].flatMap(([key, { needsRefill }]) => (needsRefill ? [key] : []));
  }

  /** The rows, with what is kept of each. */
  *entries(): Generator<StoredRow> {
    for (const { entries } of this.#windows.values()) yield* entries;
  }

  has(id: string): boolean {
    const key = this.#keyOf.get(id);
    return key !== undefined && this.#windows.get(key)?.has(id) === true;
  }

  holdsKey(key: Value): boolean {
    return this.#windows.has(key);
  }

  put(row: StoredRow): void {
    const key = row[this.#options.field] ?? null;
    const former = this.#keyOf.get(row.id);
    if (former !== undefined && former !== key) this.#windows.get(former)?.remove(row.id);
    this.#windows.get(key)?.put(row);
    this.#show(row.id, key);
  }

  remove(id: string): void {
    const key = this.#keyOf.get(id);
    if (key !== undefined) this.#windows.get(key)?.remove(id);
  }

  /** Begins again with the keys and the rows of each, in order; of each one more than the limit. */
  begin(rows: ReadonlyMap<Value, readonly StoredRow[]>): void {
    this.#windows.clear();
    this.#keyOf.clear();
    this.#forgetChanges();
    for (const [key, all] of rows) {
      const window = this.#make();
      window.begin(all, false);
      this.#windows.set(key, window);
      for (const id of window.ids) this.#keyOf.set(id, key);
    }
  }

  /** Takes the rows of a key, new or not, as they are now. */
  refill(key: Value, rows: readonly StoredRow[]): void {
    const window = this.#windows.get(key) ?? this.#make();
    window.refill(rows);
    this.#windows.set(key, window);
    for (const id of window.ids) this.#show(id, key);
  }

  /** Nothing leads to the rows of a key any longer. */
  drop(key: Value): void {
    for (const id of this.#windows.get(key)?.idsBefore ?? []) this.#left.add(id);
    this.#isChanged = this.#windows.delete(key) || this.#isChanged;
  }

  flush(): WindowChange {
    const entered: StoredRow[] = [];
    const stayed: StoredRow[] = [];
    const left = new Set(this.#left);
    for (const window of this.#windows.values()) {
      if (window.isFlushed) continue;
      const change = window.flush();
      for (const row of change.entered) entered.push(row);
      for (const row of change.stayed) stayed.push(row);
      for (const id of change.left) left.add(id);
    }
    // It went from one parent to another.
    for (const { id } of entered) left.delete(id);
    for (const id of [...left, ...this.#touched]) if (!this.has(id)) this.#keyOf.delete(id);
    this.#forgetChanges();
    return { entered, stayed, left: [...left] };
  }

  #forgetChanges(): void {
    this.#left.clear();
    this.#touched.clear();
    this.#isChanged = false;
  }

  #show(id: string, key: Value): void {
    this.#keyOf.set(id, key);
    this.#touched.add(id);
  }

  #make(): Window {
    const { order, limit = Infinity, kept } = this.#options;
    return new Window(order, limit, kept);
  }
}
