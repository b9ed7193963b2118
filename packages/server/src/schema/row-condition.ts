import { PylonError } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";
import { isSameValue } from "./nested-value.ts";
import { checkValue, refuseUnknown } from "./row-input.ts";
import type { StoredRow, Value } from "./row.ts";
import type { Entity } from "./schema.ts";

/**
 * Validates the condition that a write sets for the row: `{status: "open"}`.
 *
 * @param visible the fields that the caller may use
 * @returns undefined if there is no condition
 * @throws PylonError INVALID_DATA, INVALID_COLUMN with the `field`
 */
export function checkCondition(
  entity: Entity,
  condition: unknown,
  visible: Pick<ReadonlySet<string>, "has">,
): Readonly<Record<string, Value>> | undefined {
  if (condition === undefined) return undefined;
  if (!isRecord(condition) || Object.keys(condition).length === 0)
    throw new PylonError("INVALID_DATA", "ifUnchanged must have at least one field.", {
      field: "ifUnchanged",
      hint: 'Send {"field": the value you have read}.',
    });
  refuseUnknown(entity, condition, visible);
  const expected: Record<string, Value> = {};
  for (const [name, value] of Object.entries(condition)) {
    const field = entity.fields.get(name);
    if (field === undefined) continue;
    expected[name] = value === null ? null : checkValue(entity, field, value);
  }
  return expected;
}

/** The names of the fields that differ from the expected values. */
export function changedFields(
  row: StoredRow,
  expected: Readonly<Record<string, Value>>,
): readonly string[] {
  return Object.entries(expected)
    .filter(([name, value]) => !isSameValue(row[name] ?? null, value))
    .map(([name]) => name);
}
