import { normaliseDecimal } from "./decimal.ts";
import type { PathExpr, Values, WrittenForm } from "./expr.ts";
import { normaliseDatetime } from "./value-kind.ts";

/** How the name of a claim begins in a path of `auth`: it is a value of the caller's `claims`. */
export const CLAIM_PREFIX = "claims.";

/** What a path finds in the values of its root; null where there is nothing. */
export function readPath({ name, as }: Pick<PathExpr, "name" | "as">): (from?: Values) => unknown {
  const names = name.split(".");
  return as === undefined
    ? (from) => valueAt(from, names)
    : (from) => inForm(valueAt(from, names), as);
}

/** The value as a field of the kind stores it: null, or no item, where it is not a value of one. */
function inForm(value: unknown, form: WrittenForm): unknown {
  if (!Array.isArray(value)) return storedForm(value, form) ?? null;
  return value.flatMap((item: unknown) =>
    item === null ? [null] : (storedForm(item, form) ?? []),
  );
}

/** @returns undefined for what is not a value of the kind */
export function storedForm(value: unknown, form: WrittenForm): string | undefined {
  if (form === "decimal") return normaliseDecimal(value);
  return typeof value === "string" ? normaliseDatetime(value) : undefined;
}

/**
 * What the names of a path lead to, each in what the one before it led to.
 *
 * @returns null where they lead to nothing
 */
function valueAt(from: Values | undefined, names: readonly string[]): unknown {
  let value: unknown = from;
  for (const name of names) {
    const values: Values = Object(value);
    value = Object.hasOwn(values, name) ? values[name] : null;
  }
  return value ?? null;
}
