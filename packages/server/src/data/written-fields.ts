import { isSameValue } from "../schema/nested-value.ts";
import type { StoredRow, Value } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";

/** Returns the names of the fields that data from outside contains. */
export function writtenNames(data: unknown): string[] {
  if (!isRecord(data)) return [];
  return Object.keys(data).filter((name) => data[name] !== undefined);
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Returns the fields of a patch that differ from the existing row.
 *
 * @param always the fields that count as changed whatever their value
 */
export function changedOnly(
  before: StoredRow,
  patch: Readonly<Record<string, Value>>,
  always: ReadonlySet<string> = NONE,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(patch).filter(
      ([name, value]) => always.has(name) || !isSameValue(before[name], value),
    ),
  );
}
