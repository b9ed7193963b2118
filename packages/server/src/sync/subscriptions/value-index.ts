import type { RowKey } from "../../policy/audience.ts";
import type { StoredRow, Value } from "../../store/store.ts";

/**
 * Finds the items that are registered for rows with a value, by field and value, without scanning
 * the others.
 */
export class ValueIndex<T> {
  readonly #byField = new Map<string, Map<Value, Set<T>>>();
  /** The items that any row may concern. */
  readonly #unkeyed = new Set<T>();

  /** @param keys a row that concerns the item has one of them; null if any row may concern it */
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

  /** @param keys the keys with which it was added */
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

  /** Adds the items that the row may concern to `found`. */
  find(row: StoredRow | null, found: Set<T>): void {
    if (row === null) return;
    for (const item of this.#unkeyed) found.add(item);
    for (const [field, values] of this.#byField)
      for (const item of values.get(row[field] ?? null) ?? []) found.add(item);
  }
}
