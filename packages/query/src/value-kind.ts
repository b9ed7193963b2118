import { normaliseDecimal } from "./decimal.ts";
import { isScalarKind, type FieldKind, type Scalar, type ScalarKind } from "./expr.ts";
import { QueryError } from "./errors.ts";

const DAY = /(?<day>\d{4}-\d{2}-\d{2})/;
const TIME = /[T ](?<minute>\d{2}:\d{2})(?::(?<second>\d{2})(?:\.(?<fraction>\d{1,9}))?)?/;
const ZONE = /(?:Z|(?<sign>[+-])(?<hours>[01]\d|2[0-3]):?(?<minutes>[0-5]\d))/;
const ISO_DATE = new RegExp(`^${DAY.source}(?:${TIME.source}${ZONE.source}?)?$`);

/**
 * Returns the normal form of a datetime: ISO 8601 in UTC with milliseconds and Z, so that text
 * order is time order.
 *
 * @returns undefined if the text is not an ISO 8601 date or date and time of the years 1 to 9999;
 *   without a zone it is UTC
 */
export function normaliseDatetime(text: string): string | undefined {
  const parts = ISO_DATE.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const {
    day,
    minute = "00:00",
    second = "00",
    fraction = "",
    sign,
    hours = "0",
    minutes = "0",
  } = parts;
  const local = `${day}T${minute}:${second}.${fraction.padEnd(3, "0").slice(0, 3)}Z`;
  const time = Date.parse(local);
  // Engines treat 30 February differently: a real date is formatted as it was written.
  if (Number.isNaN(time) || new Date(time).toISOString() !== local) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
  const normal = new Date(time - offset).toISOString();
  return normal.length === local.length && !normal.startsWith("0000") ? normal : undefined;
}

/** A description of the values of each kind, for error messages. */
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
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) return undefined;
  return normaliseDatetime(value.toISOString());
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
    throw new QueryError(
      "INVALID_QUERY",
      `${field}: ${kind === "json" ? "a json" : "an array"} can only be compared with null.`,
      {
        field,
        hint:
          kind === "json"
            ? `Compare a value inside it: "${field}.color".`
            : "Test for an item with {$has: value}, or for null with $exists.",
      },
    );
  const normal = normaliseValue(COMPARED_AS[kind], value);
  if (normal.ok) return normal.value;
  throw new QueryError("INVALID_QUERY", `${field} ${normal.reason}.`, { field });
}

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
 * Returns a value that is compared with a field of an unknown kind, on a client whose server does
 * not provide the schema.
 *
 * @throws QueryError INVALID_QUERY
 */
export function comparableWithAny(value: unknown, field: string): Scalar {
  refuseUndefined(value, field);
  if (value instanceof Date) return comparable("datetime", value, field);
  const isScalar =
    value === null ||
    typeof value === "string" ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value));
  if (isScalar) return value;
  throw new QueryError(
    "INVALID_QUERY",
    `${field} is ${describeValue(value)}, which no field can contain.`,
    { field },
  );
}

/** An absent variable must not widen a filter, nor match the rows without a value. */
function refuseUndefined(value: unknown, field: string): void {
  if (value !== undefined) return;
  throw new QueryError("INVALID_QUERY", `${field} is undefined.`, {
    field,
    hint: "Give it a value, use null to test for null, or leave the key out.",
  });
}

/**
 * Rejects text with a NUL or a lone surrogate: no stored text has one, and databases treat them
 * differently.
 *
 * @throws QueryError INVALID_QUERY
 */
export function storableText(text: string, field: string): string {
  if (isStorable(text)) return text;
  throw new QueryError(
    "INVALID_QUERY",
    `${field} contains an invalid character (NUL or a lone surrogate).`,
    { field },
  );
}

/** Whether a row can store the text: no NUL, and no lone surrogate. */
export function isStorable(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

const MAX_ID_LENGTH = 64;
const MAX_SHOWN = 40;

/** A description of a value: `a list`, `"soon"`, `NaN`. */
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
