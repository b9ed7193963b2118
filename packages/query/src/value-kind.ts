import { describeValue, dateText, refuseUndefined } from "./any-value.ts";
import { normaliseDatetime } from "./datetime.ts";
import { normaliseDecimal } from "./decimal.ts";
import type { Scalar } from "./expr.ts";
import { isScalarKind, type FieldKind, type ScalarKind } from "./field-kinds.ts";
import { invalidQuery } from "./errors.ts";

/** What a value of each kind looks like, in words for its writer. */
export const WANTED: Readonly<Record<FieldKind, string>> = {
  string: "a string",
  richtext: "a string",
  id: "an id of 1 to 64 characters",
  int: "a whole number within ±(2^53 - 1)",
  float: "a finite number",
  decimal: 'a decimal such as "12.50"',
  bool: "true or false",
  datetime: "an ISO 8601 date such as 2026-01-31T12:00:00Z",
  json: "a JSON object or list",
  array: "a list",
  encrypted: "a string",
};

/** A value in its normal form, or the reason why it is invalid. */
export type NormalValue =
  | { readonly ok: true; readonly value: string | number | boolean }
  | { readonly ok: false; readonly reason: string };

/**
 * The single definition of a kind's values, wherever they come from: a row, a default, a filter of
 * a request, of a function or of a live query. A datetime, also given as a `Date`, and a decimal,
 * also given as a number, are converted to their normal form.
 *
 * @param value not null: whether a field may be null does not depend on its kind
 * @returns `reason` completes the sentence "the value ...": `is "soon", not an ISO 8601 date`
 */
export function normaliseValue(kind: ScalarKind, value: unknown): NormalValue {
  const normal = normalOf(kind, value);
  if (normal === undefined)
    return { ok: false, reason: `is ${describeValue(value)}, not ${WANTED[kind]}` };
  if (typeof normal === "string" && !isStorable(normal))
    return { ok: false, reason: "contains an invalid character (NUL or a lone surrogate)" };
  return { ok: true, value: normal };
}

function normalOf(kind: ScalarKind, value: unknown): string | number | boolean | undefined {
  switch (kind) {
    case "int":
      return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
    case "float":
      return typeof value === "number" && Number.isFinite(value) ? value : undefined;
    case "decimal":
      return normaliseDecimal(value);
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "datetime":
      return datetimeOf(value);
    case "id":
      return typeof value === "string" && value !== "" && value.length <= MAX_ID_LENGTH
        ? value
        : undefined;
    case "string":
    case "richtext":
      return typeof value === "string" ? value : undefined;
  }
}

function datetimeOf(value: unknown): string | undefined {
  if (typeof value === "string") return normaliseDatetime(value);
  return value instanceof Date ? dateText(value) : undefined;
}

/**
 * Returns a value that is compared with a field of this kind. More values can be compared than
 * stored: a number of any size with an int, any text with an id.
 *
 * @throws QueryError INVALID_QUERY
 */
export function comparable(kind: FieldKind, value: unknown, field: string): Scalar {
  if (value === null) return null;
  refuseUndefined(value, field);
  if (!isScalarKind(kind))
    invalidQuery(
      field,
      `${field}: ${kind === "json" ? "a json" : `an ${kind}`} can only be compared with null.`,
      COMPARED_INSTEAD[kind](field),
    );
  const normal = normaliseValue(COMPARED_AS[kind], value);
  if (normal.ok) return normal.value;
  invalidQuery(field, `${field} ${normal.reason}.`);
}

/** How to compare a field of a kind whose values can't be compared. */
const COMPARED_INSTEAD: Readonly<
  Record<Exclude<FieldKind, ScalarKind>, (field: string) => string>
> = {
  json: (field) => `Compare a value inside it: "${field}.color".`,
  array: () => "Test for an item with {$has: value}, or for null with $exists.",
  encrypted: () => "Test for null with $exists, or store what is searched for in another field.",
};

const COMPARED_AS: Readonly<Record<ScalarKind, ScalarKind>> = {
  string: "string",
  richtext: "string",
  id: "string",
  int: "float",
  float: "float",
  decimal: "decimal",
  bool: "bool",
  datetime: "datetime",
};

/**
 * No stored text has a NUL or half of a surrogate pair, and databases differ on what they make of
 * one.
 *
 * @throws QueryError INVALID_QUERY
 */
export function storableText(text: string, field: string): string {
  if (isStorable(text)) return text;
  invalidQuery(field, `${field} contains an invalid character (NUL or a lone surrogate).`);
}

/** Whether a row can store the text: no NUL, and no lone surrogate. */
export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

const MAX_ID_LENGTH = 64;
