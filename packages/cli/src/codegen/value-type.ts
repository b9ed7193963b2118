import type { ManifestField, ManifestItem } from "@pylonsync/sdk";
import { key, quote } from "./reference-tree.ts";

/** Deeper than any readable validator. */
const MAX_DEPTH = 16;
/** The type of a json field without a declared type. */
const JSON_TYPE = 'import("@pylonsync/sdk").Json';

/** The TypeScript type of a field's value in a row. */
export function typeOfField(field: ManifestField): string {
  const plain = plainType(field);
  return field.optional && plain !== "unknown" ? `${plain} | null` : plain;
}

function plainType(field: ManifestField): string {
  if (field.type === "json")
    return field.schema === undefined ? JSON_TYPE : typeOfValidator(field.schema, MAX_DEPTH);
  if (field.type === "array")
    return listOf(field.items === undefined ? "unknown" : scalarType(field.items));
  return scalarType(field);
}

/** A decimal, a date and an id are strings. */
function scalarType({ type, enum: values }: ManifestItem): string {
  if (type === "int" || type === "float") return "number";
  if (type === "bool") return "boolean";
  return values === undefined || values.length === 0 ? "string" : values.map(quote).join(" | ");
}

function listOf(item: string): string {
  return item.includes(" ") ? `(${item})[]` : `${item}[]`;
}

const SCALARS: Readonly<Record<string, string>> = {
  string: "string",
  id: "string",
  datetime: "string",
  decimal: "string",
  number: "number",
  int: "number",
  boolean: "boolean",
  null: "null",
};

/** The type of the values of a validator of `@pylonsync/functions`, which is data. */
function typeOfValidator(validator: unknown, depth: number): string {
  if (!isObject(validator) || depth === 0) return "unknown";
  const { type, items, fields, variants, value, loose } = validator;
  const inner = (one: unknown): string => typeOfValidator(one, depth - 1);
  if (type === "array") return listOf(inner(items));
  if (type === "union" && Array.isArray(variants)) return variants.map(inner).join(" | ");
  if (type === "literal") return JSON.stringify(value ?? null);
  if (type !== "object") return SCALARS[String(type)] ?? "unknown";
  const members = Object.entries(isObject(fields) ? fields : {}).map(([name, field]) => {
    const isOptional = isObject(field) && field["optional"] === true;
    const absent = isOptional ? " | undefined" : "";
    return `${key(name)}${isOptional ? "?" : ""}: ${inner(field)}${absent}`;
  });
  const object = members.length === 0 ? "Record<never, never>" : `{ ${members.join("; ")} }`;
  return loose === true ? `${object} & { readonly [key: string]: unknown }` : object;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
