import { normaliseDecimal } from "./decimal.ts";
import type { PathExpr, Values, WrittenForm } from "./expr.ts";
import { normaliseDatetime } from "./value-kind.ts";

/** The prefix of a claim's name in a path of `auth`: it is a value in the caller's `claims`. */
export const CLAIM_PREFIX = "claims.";

/** Returns a function that reads a path in the values of its root; null if there is no value. */
export function readPath({ name, as }: Pick<PathExpr, "name" | "as">): (from?: Values) => unknown {
  const names = name.split(".");
  return as === undefined
    ? (from) => valueAt(from, names)
    : (from) => inForm(valueAt(from, names), as);
}

/**
 * The value in the form in which a field of the kind stores it: null, or the item omitted, if it is
 * not a value of that kind.
 */
function inForm(value: unknown, form: WrittenForm): unknown {
  if (!Array.isArray(value)) return storedForm(value, form) ?? null;
  return value.flatMap((item: unknown) =>
    item === null ? [null] : (storedForm(item, form) ?? []),
  );
}

/** @returns undefined if it is not a value of the kind */
export function storedForm(value: unknown, form: WrittenForm): string | undefined {
  if (form === "decimal") return normaliseDecimal(value);
  return typeof value === "string" ? normaliseDatetime(value) : undefined;
}

/**
 * Follows the names of a path, each within the value of the previous one.
 *
 * @returns null if there is no value
 */
function valueAt(from: Values | undefined, names: readonly string[]): unknown {
  let value: unknown = from;
  for (const name of names) {
    const values: Values = Object(value);
    value = Object.hasOwn(values, name) ? values[name] : null;
  }
  return value ?? null;
}
