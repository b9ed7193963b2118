import { problemOf, type Validator } from "@pylonsync/functions";
import { isRecord } from "../util/is-record.ts";

const SCALARS = new Set([
  "string",
  "number",
  "int",
  "boolean",
  "id",
  "datetime",
  "decimal",
  "null",
  "any",
  "literal",
]);
/** Deeper than any storable value. */
const MAX_DEPTH = 32;

/** Whether a part of a manifest is a validator, including all nested ones. */
export function isValueSchema(value: unknown, depth = MAX_DEPTH): value is Validator {
  if (depth === 0 || !isRecord(value)) return false;
  const { type, items, fields, variants } = value;
  if (type === "array") return items === undefined || isValueSchema(items, depth - 1);
  if (type === "object")
    return (
      isRecord(fields) && Object.values(fields).every((field) => isValueSchema(field, depth - 1))
    );
  if (type === "union")
    return (
      Array.isArray(variants) && variants.every((variant) => isValueSchema(variant, depth - 1))
    );
  return typeof type === "string" && SCALARS.has(type);
}

/** Describes why a value does not match the schema: `meta.size: expected int, got string`. */
export function schemaProblem(schema: object, value: unknown, name: string): string | undefined {
  return isValueSchema(schema) ? problemOf(schema, value, name) : undefined;
}
