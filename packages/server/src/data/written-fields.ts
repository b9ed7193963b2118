import { isSameValue } from "../schema/nested-value.ts";
import type { StoredRow, Value } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";

/** Returns the names of the fields that data from outside contains. */
export function writtenNames(data: unknown): string[] {
  if (!isRecord(data)) return [];
  return Object.keys(data).filter((name) => data[name] !== undefined);
}

/** Returns the fields of a patch that differ from the existing row. */
export function changedOnly(
  before: StoredRow,
  patch: Readonly<Record<string, Value>>,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(patch).filter(([name, value]) => !isSameValue(before[name], value)),
  );
}
