import * as v from "valibot";

/**
 * An object whose values are all of one kind, with every key that it has. The library's own record
 * drops `constructor`, `prototype` and `__proto__`, and a field may have one of these names.
 *
 * @param isValue whether a value is of that kind
 */
export function recordOf<T>(isValue: (value: unknown) => value is T) {
  const schema = v.custom<Record<string, T>>(
    (input) =>
      typeof input === "object" &&
      input !== null &&
      !Array.isArray(input) &&
      Object.values(input).every(isValue),
  );
  return { ...schema, expects: "Object" };
}
