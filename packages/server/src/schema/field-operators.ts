import { applyFieldOperator, fieldOperatorOf, type FieldOperator } from "@pylonsync/query";
import { isRecord } from "../util/is-record.ts";
import type { StoredRow } from "./row.ts";
import type { Entity } from "./schema.ts";

/** The operators of an update, by field: `{likes: {$increment: 1}}`. */
export function operatorsOf(entity: Entity, data: unknown): ReadonlyMap<string, FieldOperator> {
  const found = new Map<string, FieldOperator>();
  if (!isRecord(data)) return found;
  for (const [name, value] of Object.entries(data)) {
    const field = entity.fields.get(name);
    const operator = field === undefined ? undefined : fieldOperatorOf(field.kind, value);
    if (operator !== undefined) found.set(name, operator);
  }
  return found;
}

/**
 * Returns the patch with the values that its operators compute from the row's values; the result is
 * not validated.
 */
export function resolveOperators(
  data: unknown,
  operators: ReadonlyMap<string, FieldOperator>,
  before: StoredRow,
): unknown {
  if (operators.size === 0 || !isRecord(data)) return data;
  const values = [...operators].map(([name, operator]): [string, unknown] => [
    name,
    applyFieldOperator(operator, before[name]),
  ]);
  return { ...data, ...Object.fromEntries(values) };
}
