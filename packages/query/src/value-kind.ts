import type { FieldKind, Scalar } from "./expr.ts";
import { QueryError } from "./errors.ts";

const ISO_DATE =
  /^(?<day>\d{4}-\d{2}-\d{2})(?:[T ](?<minute>\d{2}:\d{2})(?::(?<second>\d{2})(?:\.(?<fraction>\d{1,9}))?)?(?:Z|(?<sign>[+-])(?<hours>[01]\d|2[0-3]):?(?<minutes>[0-5]\d))?)?$/;

/**
 * The one form of a datetime: ISO 8601 in UTC with milliseconds and Z, so that text order is time
 * order.
 *
 * @returns undefined when the text is no ISO 8601 date or date and time of the years 1 to 9999;
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
  // Engines differ on what they make of 30 February: a real date reads back as it was written.
  if (Number.isNaN(time) || new Date(time).toISOString() !== local) return undefined;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === "-" ? -1 : 1);
  const normal = new Date(time - offset).toISOString();
  return normal.length === local.length && !normal.startsWith("0000") ? normal : undefined;
}

/** Checks a value that is compared with a field of this kind. @throws QueryError INVALID_QUERY */
export function comparable(kind: FieldKind, value: unknown, field: string): Scalar {
  if (value === null) return null;
  switch (kind) {
    case "int":
    case "float":
      if (typeof value === "number" && Number.isFinite(value)) return value;
      throw mismatch(field, "a number", value);
    case "bool":
      if (typeof value === "boolean") return value;
      throw mismatch(field, "true or false", value);
    case "datetime": {
      const normal = typeof value === "string" ? normaliseDatetime(value) : undefined;
      if (normal !== undefined) return normal;
      throw mismatch(field, "an ISO 8601 date", value);
    }
    case "string":
    case "richtext":
    case "id":
      if (typeof value === "string") return storableText(value, field);
      throw mismatch(field, "a string", value);
  }
}

/**
 * No stored text has a NUL or half of a surrogate pair, and databases differ on what they make of
 * one.
 *
 * @throws QueryError INVALID_QUERY
 */
export function storableText(text: string, field: string): string {
  if (!text.includes("\0") && text.isWellFormed()) return text;
  throw new QueryError(
    "INVALID_QUERY",
    `${field} has a character that is no text (a NUL or half of a pair).`,
    { field },
  );
}

function mismatch(field: string, wanted: string, got: unknown): QueryError {
  return new QueryError(
    "INVALID_QUERY",
    `${field} is compared with ${describe(got)}, and needs ${wanted}.`,
    { field },
  );
}

export function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value === null) return "null";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
