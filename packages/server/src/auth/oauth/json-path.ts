/** Reads values from untrusted JSON: a value that is not of the expected kind is absent. */

/** Returns the value at a path such as `data.email`. */
export function at(json: unknown, path: string): unknown {
  let value: unknown = json;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

/** Returns the text at a path such as `data.email` of a provider's response. */
export function textAt(json: unknown, path: string): string | undefined {
  const value = at(json, path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Returns an id: some providers use numbers. */
export function idAt(json: unknown, path: string): string | undefined {
  const value = at(json, path);
  return typeof value === "number" && Number.isSafeInteger(value)
    ? String(value)
    : textAt(json, path);
}

/** Whether the value is true; some providers write it as text, or as 1. */
export function isTrueAt(json: unknown, path: string): boolean {
  const value = at(json, path);
  return value === true || value === "true" || value === 1;
}

/** Returns the array at a path of a provider's response, or an empty one if there is none. */
export function listAt(json: unknown, path: string): readonly unknown[] {
  const value = path === "" ? json : at(json, path);
  return Array.isArray(value) ? value : [];
}
