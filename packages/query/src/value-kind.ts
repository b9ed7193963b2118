import type { FieldKind, Scalar } from "./expr.ts";
import { QueryError } from "./errors.ts";

const ISO_DATE = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * The one form of a datetime: ISO 8601 in UTC with milliseconds and Z, so that text order is time order.
 *
 * @returns undefined when the text is no ISO 8601 date or date and time
 */
export function normaliseDatetime(text: string): string | undefined {
  if (!ISO_DATE.test(text)) return undefined;
  const time = Date.parse(text.length > 10 && !/(Z|[+-]\d{2}:?\d{2})$/.test(text) ? `${text.replace(" ", "T")}Z` : text);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
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
      if (typeof value === "string") return value;
      throw mismatch(field, "a string", value);
  }
}

function mismatch(field: string, wanted: string, got: unknown): QueryError {
  return new QueryError("INVALID_QUERY", `${field} is compared with ${describe(got)}, and needs ${wanted}.`, { field });
}

export function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value === null) return "null";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
