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

  constructor(options: KeyedWindowOptions) {
    this.#options = options;
  }

  /** What names the parents. */
  get keys(): ReadonlySet<Value> {
    return new Set(this.#windows.keys());
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
    this.#keyOf.set(row.id, key);
  }

  remove(id: string): void {
    const key = this.#keyOf.get(id);
    if (key !== undefined) this.#windows.get(key)?.remove(id);
  }

  /** Begins again with the keys and the rows of each, in order; of each one more than the limit. */
  begin(rows: ReadonlyMap<Value, readonly StoredRow[]>): void {
    this.#windows.clear();
    this.#keyOf.clear();
    this.#left.clear();
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
    for (const id of window.ids) this.#keyOf.set(id, key);
  }

  /** Nothing leads to the rows of a key any longer. */
  drop(key: Value): void {
    for (const id of this.#windows.get(key)?.idsBefore ?? []) this.#left.add(id);
    this.#windows.delete(key);
  }

  flush(): WindowChange {
    const changes = [...this.#windows.values()].map((window) => window.flush());
    const entered = changes.flatMap((change) => change.entered);
    const stayed = changes.flatMap((change) => change.stayed);
    const left = new Set([...this.#left, ...changes.flatMap((change) => change.left)]);
    // It went from one parent to another.
    for (const { id } of entered) left.delete(id);
    this.#left.clear();
    for (const [id] of [...this.#keyOf]) if (!this.has(id)) this.#keyOf.delete(id);
    return { entered, stayed, left: [...left] };
  }

  #make(): Window {
    const { order, limit = Infinity, kept } = this.#options;
    return new Window(order, limit, kept);
  }
}
