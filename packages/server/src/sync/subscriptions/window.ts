import { type Order, rowComparator } from "@pylonsync/query";
import type { StoredRow } from "../../store/store.ts";

/** The changes of the rows of a window by a commit. */
export interface WindowChange {
  /** Rows that entered the window. */
  readonly entered: readonly StoredRow[];
  /** Rows that changed and were in it before. */
  readonly stayed: readonly StoredRow[];
  readonly left: readonly string[];
}

/** The visible rows of a subscription, and their changes by a commit. */
export interface ShownRows {
  /**
   * Whether the stored entries may have changed since the last `flush`: not if rows only changed in
   * other fields.
   */
  readonly isChanged: boolean;
  has(id: string): boolean;
  /** A row of the subscription was inserted or changed. */
  put(row: StoredRow): void;
  /** A row is no longer in the subscription. */
  remove(id: string): void;
  /** Returns the changes since the last call. */
  flush(): WindowChange;
}

/**
 * The first rows of a subscription in its order. It stores the id of each, the fields of the order,
 * and the keys of related rows.
 */
export class Window implements ShownRows {
  readonly limit: number;
  readonly order: readonly Order[];
  readonly #kept: readonly string[];
  readonly #compare: (a: StoredRow, b: StoredRow) => number;
  /** In the order. */
  #entries: StoredRow[] = [];
  /** Whether there are rows after the last entry, which are not stored here. */
  #hasMore = false;
  /** The ids before the commit that is being applied. */
  #before: ReadonlySet<string> | null = null;
  readonly #changed = new Map<string, StoredRow>();
  #isChanged = false;

  /** @param kept the fields that refer to related rows */
  constructor(order: readonly Order[], limit: number, kept: readonly string[] = []) {
    this.order = order;
    this.limit = limit;
    this.#kept = [...new Set([...order.map(({ field }) => field), ...kept])];
    this.#compare = rowComparator(order);
  }

  get ids(): string[] {
    return this.#entries.map(({ id }) => id);
  }

  /** The rows, with the stored fields of each. */
  get entries(): readonly StoredRow[] {
    return this.#entries;
  }

  get isChanged(): boolean {
    return this.#isChanged;
  }

  /** Whether nothing has happened since the last `flush`. */
  get isFlushed(): boolean {
    return this.#before === null;
  }

  /** The ids before the commit that is being applied. */
  get idsBefore(): Iterable<string> {
    return this.#before ?? this.ids;
  }

  /** The length of the stored texts. */
  get characters(): number {
    let characters = 0;
    for (const entry of this.#entries)
      for (const field of this.#kept) {
        const value = entry[field];
        if (typeof value === "string") characters += value.length;
      }
    return characters;
  }

  has(id: string): boolean {
    return this.#entries.some((entry) => entry.id === id);
  }

  /** Whether a row has left, and its place must be filled by a row that is not stored here. */
  get needsRefill(): boolean {
    return this.#hasMore && this.#entries.length < this.limit;
  }

  /** Starts with these rows, which are sorted. */
  begin(rows: readonly StoredRow[], hasMore: boolean): void {
    this.#entries = rows.slice(0, this.limit).map((row) => this.#entryOf(row));
    this.#hasMore = hasMore || rows.length > this.limit;
    this.#forgetChanges();
  }

  /** A row of the subscription was inserted or changed. */
  put(row: StoredRow): void {
    this.#remember();
    this.#changed.set(row.id, row);
    const index = this.#entries.findIndex(({ id }) => id === row.id);
    const former = this.#entries[index];
    if (former !== undefined && this.#isSame(former, row)) return;
    this.#isChanged = true;
    if (former !== undefined) this.#entries.splice(index, 1);
    const at = this.#entries.findIndex((entry) => this.#compare(row, entry) < 0);
    // Rows that are not stored here may precede one at the end.
    if (at === -1 && this.#hasMore) return;
    this.#entries.splice(at === -1 ? this.#entries.length : at, 0, this.#entryOf(row));
    if (this.#entries.length <= this.limit) return;
    this.#entries.pop();
    this.#hasMore = true;
  }

  /** A row is no longer in the subscription. */
  remove(id: string): void {
    this.#remember();
    this.#changed.delete(id);
    const index = this.#entries.findIndex((entry) => entry.id === id);
    if (index === -1) return;
    this.#entries.splice(index, 1);
    this.#isChanged = true;
  }

  /** Sets the current rows, sorted; at least one more than the limit, if there is one. */
  refill(rows: readonly StoredRow[]): void {
    this.#remember();
    this.#isChanged = true;
    for (const row of rows) if (!this.#before?.has(row.id)) this.#changed.set(row.id, row);
    this.#entries = rows.slice(0, this.limit).map((row) => this.#entryOf(row));
    this.#hasMore = rows.length > this.limit;
  }

  /** Returns the changes since the last call. */
  flush(): WindowChange {
    const before = this.#before ?? new Set<string>();
    const entered: StoredRow[] = [];
    const stayed: StoredRow[] = [];
    const left = new Set(before);
    for (const { id } of this.#entries) {
      left.delete(id);
      const row = this.#changed.get(id);
      if (row !== undefined) (before.has(id) ? stayed : entered).push(row);
    }
    this.#forgetChanges();
    return { entered, stayed, left: [...left] };
  }

  #remember(): void {
    this.#before ??= new Set(this.#entries.map(({ id }) => id));
  }

  #forgetChanges(): void {
    this.#before = null;
    this.#changed.clear();
    this.#isChanged = false;
  }

  /** Whether the entry of a row stays as it is, and with it its place. */
  #isSame(entry: StoredRow, row: StoredRow): boolean {
    return this.#kept.every((field) => entry[field] === (row[field] ?? null));
  }

  #entryOf(row: StoredRow): StoredRow {
    const entry: Record<string, StoredRow[string]> & { readonly id: string } = { id: row.id };
    for (const field of this.#kept) entry[field] = row[field] ?? null;
    return entry;
  }
}
