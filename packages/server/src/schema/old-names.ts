import { isRecord } from "../util/is-record.ts";
import { isSameValue } from "./nested-value.ts";
import type { StoredRow, Value } from "./row.ts";
import type { Entity } from "./schema.ts";

/**
 * Returns the data of a caller with the current names of the fields. A client from before a rename
 * uses only the old name, or returns a whole row in which it has changed the value of one of the
 * two names.
 *
 * @param before the row that is updated: of two values, the one that differs from it is used
 */
export function withCurrentNames(
  entity: Entity,
  data: unknown,
  before: StoredRow | null = null,
): unknown {
  if (entity.oldFields.size === 0 || !isRecord(data)) return data;
  // Created from entries: with an assignment, "__proto__" would set the prototype, and a hook would
  // read fields from it that were not sent.
  const named: Record<string, unknown> = Object.fromEntries(
    Object.entries(data).filter(([name]) => !entity.oldFields.has(name)),
  );
  for (const [old, { name }] of entity.oldFields) {
    if (!Object.hasOwn(data, old)) continue;
    if (!Object.hasOwn(named, name) || isUnchanged(before, name, named[name]))
      named[name] = data[old];
  }
  return named;
}

function isUnchanged(before: StoredRow | null, name: string, value: unknown): boolean {
  return before !== null && isSameValue(before[name] ?? null, value as Value);
}

/** The current name of a field; any other text is returned unchanged. */
export function currentName(entity: Entity, name: string): string {
  return entity.oldFields.get(name)?.name ?? name;
}
