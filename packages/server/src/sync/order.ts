import { compareValues, type Order } from "@pylonsync/query";
import type { StoredRow } from "../store/store.ts";

/** The order of two rows: by its keys, then by id. */
export function comparatorOf(order: readonly Order[]): (a: StoredRow, b: StoredRow) => number {
  return (a, b) => {
    for (const { field, direction } of order) {
      const result = compareValues(a[field] ?? null, b[field] ?? null);
      if (result !== 0) return direction === "asc" ? result : -result;
    }
    return compareValues(a.id, b.id);
  };
}
