import { invalidQuery } from "./errors.ts";
import type { Scalar } from "./expr.ts";

/** Returns a date as a datetime in UTC; undefined if it is invalid or outside years 1 to 9999. */
export function dateText(date: Date): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined;
  const text = date.toISOString();
  // Other years have a sign.
  return /^\d{4}-/.test(text) && !text.startsWith("0000") ? text : undefined;
}

/**
 * Returns a value to compare with a field of an unknown kind, on a client without the schema.
 *
 * @throws QueryError INVALID_QUERY
 */
export function comparableWithAny(value: unknown, field: string): Scalar {
  refuseUndefined(value, field);
  const scalar = value instanceof Date ? dateText(value) : value;
  const isScalar =
    scalar === null ||
    typeof scalar === "string" ||
    typeof scalar === "boolean" ||
    (typeof scalar === "number" && Number.isFinite(scalar));
  if (isScalar) return scalar;
  invalidQuery(field, `${field} is ${describeValue(value)}, which no field can contain.`);
}

/** An undefined variable must neither widen a filter, nor match the rows without a value. */
export function refuseUndefined(value: unknown, field: string): void {
  const hint = "Give it a value, use null to test for null, or leave the key out.";
  if (value === undefined) invalidQuery(field, `${field} is undefined.`, hint);
}

const MAX_SHOWN = 40;

/** Describes a value: `a list`, `"soon"`, `NaN`. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date";
  switch (typeof value) {
    case "string":
      return `"${value.slice(0, MAX_SHOWN)}"`;
    case "number":
    case "boolean":
      return String(value);
    case "bigint":
      return "a BigInt";
    default:
      return typeof value === "object" ? "an object" : `a ${typeof value}`;
  }
}
