import { normaliseDatetime, normaliseDecimal, type FieldKind } from "@pylonsync/query";
import { nestedValue } from "./nested-value.ts";
import type { Value } from "./row.ts";

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

/**
 * Returns a stored value as a field of another type stores it. Both stores convert with this
 * function, so a migration has the same result in each.
 *
 * @returns undefined if the new type has no equivalent value: `"12.90"` is not an int
 *
 * @example convertValue("12", "string", "int"); // 12
 */
export function convertValue(value: Value, from: FieldKind, to: FieldKind): Value | undefined {
  if (value === null || from === to) return value;
  if (to === "json" || to === "array") return nestedOf(value, to);
  if (typeof value === "object")
    return to === "string" || to === "richtext" ? JSON.stringify(value) : undefined;
  switch (to) {
    case "string":
    case "richtext":
      return String(value);
    case "id":
      return typeof value === "string" && value !== "" && value.length <= 64 ? value : undefined;
    case "int": {
      const number = toNumber(value, from);
      return Number.isSafeInteger(number) ? number : undefined;
    }
    case "float":
      return toNumber(value, from);
    case "decimal":
      return normaliseDecimal(typeof value === "string" ? value.trim() : value);
    case "bool":
      return typeof value === "string" || typeof value === "number"
        ? BOOLEANS[String(value).trim().toLowerCase()]
        : undefined;
    case "datetime":
      return typeof value === "string" ? normaliseDatetime(value.trim()) : undefined;
    // A migration has no key.
    case "encrypted":
      return undefined;
  }
}

/** Items are scalar values, never null. */
function isScalar(item: Value): boolean {
  return item !== null && typeof item !== "object";
}

/** Parses a text, which may be JSON. */
function nestedOf(value: Exclude<Value, null>, to: "json" | "array"): Value | undefined {
  const nested = nestedValue(typeof value === "string" ? parsed(value) : value);
  if (!nested.ok) return undefined;
  const isList = Array.isArray(nested.value) && nested.value.every((item) => isScalar(item));
  return to === "json" || isList ? nested.value : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A datetime is text in the store, not a number. */
function toNumber(value: string | number | boolean, from: FieldKind): number | undefined {
  if (from === "datetime") return undefined;
  if (typeof value !== "string") return Number(value);
  const text = value.trim();
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}
