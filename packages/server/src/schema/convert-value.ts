import { normaliseDatetime, type FieldKind } from "@pylonsync/query";
import type { Value } from "./row.ts";

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

/**
 * A stored value as a field of another type holds it. Both stores convert by this function, so a
 * migration means the same on each.
 *
 * @returns undefined when the new type has no equal of it: `"12.90"` is not an int
 *
 * @example convertValue("12", "string", "int"); // 12
 */
export function convertValue(value: Value, from: FieldKind, to: FieldKind): Value | undefined {
  if (value === null || from === to) return value;
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
    case "bool":
      return typeof value === "string" || typeof value === "number"
        ? BOOLEANS[String(value).trim().toLowerCase()]
        : undefined;
    case "datetime":
      return typeof value === "string" ? normaliseDatetime(value.trim()) : undefined;
  }
}

/** A datetime is text to the store, and not a number. */
function toNumber(value: string | number | boolean, from: FieldKind): number | undefined {
  if (from === "datetime") return undefined;
  if (typeof value !== "string") return Number(value);
  const text = value.trim();
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : undefined;
}
