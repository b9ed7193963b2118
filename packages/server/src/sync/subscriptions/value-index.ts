import type { RowKey } from "../../policy/audience.ts";
import type { StoredRow, Value } from "../../store/store.ts";

/**
 * Finds what waits for rows with a value: by a field and its value, without a look at what waits
 * for others.
 */
export class ValueIndex<T> {
  readonly #byField = new Map<string, Map<Value, Set<T>>>();
  /** What may wait for any row. */
  readonly #unkeyed = new Set<T>();

  /** @param keys a row that concerns the item has one of them; null: any row may */
  add(keys: readonly RowKey[] | null, item: T): void {
    if (keys === null) this.#unkeyed.add(item);
    for (const { field, value } of keys ?? []) {
      let values = this.#byField.get(field);
      if (values === undefined) this.#byField.set(field, (values = new Map()));
      const items = values.get(value);
      if (items === undefined) values.set(value, new Set([item]));
      else items.add(item);
    }
  }

  /** @param keys those that it was added with */
  delete(keys: readonly RowKey[] | null, item: T): void {
    if (keys === null) this.#unkeyed.delete(item);
    for (const { field, value } of keys ?? []) {
      const values = this.#byField.get(field);
      const items = values?.get(value);
      if (values === undefined || items?.delete(item) !== true || items.size > 0) continue;
      values.delete(value);
      if (values.size === 0) this.#byField.delete(field);
    }
  }

  get isEmpty(): boolean {
    return this.#unkeyed.size === 0 && this.#byField.size === 0;
  }

  /** Adds to `found` what the row may concern. */
  find(row: StoredRow | null, found: Set<T>): void {
    if (row === null) return;
    for (const item of this.#unkeyed) found.add(item);
    for (const [field, values] of this.#byField)
      for (const item of values.get(row[field] ?? null) ?? []) found.add(item);
  }
}
