import { MAX_ARRAY_ITEMS } from "@pylonsync/protocol";
import { describeValue, isNestedKind, normaliseValue, WANTED } from "@pylonsync/query";
import type { Json, ManifestField } from "@pylonsync/sdk";
import { isSealed, SEALED } from "./encrypted-fields.ts";
import { kindOf } from "./field-kind.ts";
import { nestedValue } from "./nested-value.ts";
import { schemaProblem } from "./value-schema.ts";
import { valueRuleOf, type BrokenRule } from "./value-rules.ts";

/** A value as its field stores it, or why it is rejected. */
export type FieldValue =
  | { readonly ok: true; readonly value: Exclude<Json, null> }
  | ({ readonly ok: false } & BrokenRule);

/** Converts a value to the form in which its field stores it. Null is not a value. */
export type ReadValue = (value: unknown) => FieldValue;

/** The rules of a field, or of the items of an array, for values. */
export type ManifestRules = Omit<ManifestField, "name" | "optional" | "unique">;

/**
 * Creates the only validation of a field's values, regardless of their source. Called once for each
 * field.
 */
export function readValueOf(field: ManifestRules): ReadValue {
  const kind = kindOf(field.type);
  if (kind === "encrypted") return readEncrypted(field);
  if (isNestedKind(kind)) return kind === "json" ? readJson(field) : readArray(field);
  const rule = valueRuleOf(field);
  if (rule === undefined) return (value) => normaliseValue(kind, value);
  return (value) => {
    const normal = normaliseValue(kind, value);
    return normal.ok ? (refused(rule(normal.value)) ?? normal) : normal;
  };
}

/** The plain text of an encrypted field has the rules of a string. */
function readEncrypted(field: ManifestRules): ReadValue {
  const read = readValueOf({ ...field, type: "string" });
  return (value) =>
    typeof value === "string" && isSealed(value)
      ? { ok: false, reason: `begins with "${SEALED}", which marks encrypted values` }
      : read(value);
}

function readJson({ schema }: { readonly schema?: object }): ReadValue {
  return (value) => {
    const normal = nestedValue(value);
    if (!normal.ok || schema === undefined) return normal;
    const problem = schemaProblem(schema, normal.value, "it");
    return problem === undefined
      ? normal
      : { ok: false, reason: `does not match its declaration: ${problem}` };
  };
}

function readArray({ items, min = 0, max = MAX_ARRAY_ITEMS }: ManifestRules): ReadValue {
  const read = items === undefined ? () => NO_ITEMS : readValueOf(items);
  return (value) => {
    if (!Array.isArray(value))
      return { ok: false, reason: `is ${describeValue(value)}, not ${WANTED.array}` };
    if (value.length < min) return { ok: false, reason: `must have at least ${min} items` };
    if (value.length > max) return { ok: false, reason: `must have at most ${max} items` };
    const stored: Json[] = [];
    for (const [index, item] of value.entries()) {
      const normal = read(item);
      if (!normal.ok)
        return { ...normal, reason: `has an item that ${normal.reason} ([${index}])` };
      stored.push(normal.value);
    }
    return { ok: true, value: stored };
  };
}

/** A manifest that does not declare the items is rejected when it is loaded. */
const NO_ITEMS: FieldValue = { ok: false, reason: "has no kind" };

function refused(broken: BrokenRule | undefined): FieldValue | undefined {
  return broken === undefined ? undefined : { ok: false, ...broken };
}
