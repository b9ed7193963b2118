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
/** Deeper than any value that it could be for. */
const MAX_DEPTH = 32;

/** Whether a part of a manifest is a validator, with all that it is made of. */
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

/** What is wrong with a value that the schema is for: `meta.size: expected int, got string`. */
export function schemaProblem(schema: object, value: unknown, name: string): string | undefined {
  return isValueSchema(schema) ? problemOf(schema, value, name) : undefined;
}
