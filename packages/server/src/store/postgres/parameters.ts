import type { Value } from "../store.ts";

/** A parameter of a statement: a value, or the list of values of an array parameter. */
export type Parameter = Value | readonly Value[];

/** Characters that have a meaning within a quoted element of an array. */
const SPECIAL = /["\\]/g;

/**
 * Returns the text that Postgres parses as the parameter's value, or null.
 *
 * @param value a list is an array in Postgres; any other object is sent as JSON
 */
export function parameterText(value: Parameter): string | null {
  if (typeof value === "string") return value;
  if (value === null) return null;
  if (typeof value !== "object") return String(value);
  return Array.isArray(value) ? arrayText(value) : JSON.stringify(value);
}

function arrayText(values: readonly unknown[]): string {
  let text = "{";
  for (const [index, value] of values.entries()) {
    if (index > 0) text += ",";
    text += elementText(value);
  }
  return `${text}}`;
}

function elementText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return arrayText(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `"${SPECIAL.test(text) ? text.replaceAll(SPECIAL, String.raw`\$&`) : text}"`;
}
