import type { PathExpr, Values, WrittenForm } from "./expr.ts";

/** The prefix of a claim's name in a path of `auth`: it is a value in the caller's `claims`. */
export const CLAIM_PREFIX = "claims.";

/**
 * Converts a value to the form in which a field of the kind stores it.
 *
 * @returns undefined if it is not a value of the kind
 */
export type ToForm = (value: unknown, form: WrittenForm) => string | undefined;

/**
 * What a path finds in the values of its root; null where there is nothing.
 *
 * @param toForm needed for paths whose values have a form, which only policies have
 */
export function readPath(
  { name, as }: Pick<PathExpr, "name" | "as">,
  toForm: ToForm,
): (from?: Values) => unknown {
  const names = name.split(".");
  return as === undefined
    ? (from) => valueAt(from, names)
    : (from) => inForm(valueAt(from, names), (value) => toForm(value, as));
}

/** The value as a field of the kind stores it: null, or no item, where it is not a value of one. */
function inForm(value: unknown, convert: (value: unknown) => string | undefined): unknown {
  if (!Array.isArray(value)) return convert(value) ?? null;
  return value.flatMap((item: unknown) => (item === null ? [null] : (convert(item) ?? [])));
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
