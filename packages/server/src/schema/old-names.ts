import { isRecord } from "../util/is-record.ts";
import { isSameValue } from "./nested-value.ts";
import type { StoredRow, Value } from "./row.ts";
import type { Entity } from "./schema.ts";

/**
 * What a caller sent, by the names that the fields have now. A client from before a rename knows
 * the old one alone, or sends a whole row back, in which it has changed one of the two.
 *
 * @param before the row that it updates: of two values the one counts that differs from it
 */
export function withCurrentNames(
  entity: Entity,
  data: unknown,
  before: StoredRow | null = null,
): unknown {
  if (entity.oldFields.size === 0 || !isRecord(data)) return data;
  // Made of entries: set one by one, "__proto__" would be what a hook reads of fields not sent.
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

/** A field by the name that it has now; any other text as it is. */
export function currentName(entity: Entity, name: string): string {
  return entity.oldFields.get(name)?.name ?? name;
}
