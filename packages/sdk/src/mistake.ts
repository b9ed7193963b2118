import { nearest } from "@pylonsync/query";

/** The key under which an invalid field carries its error, for `entity` to report. */
const MISTAKE = Symbol.for("pylon.mistake");

/** Properties that runtimes and test runners read of any object: not mistakes of the app. */
const PROBED_KEYS = new Set([
  "then",
  "toJSON",
  "asymmetricMatch",
  "nodeType",
  "tagName",
  "inspect",
]);

/** Whether the app's author wrote this property name, which the object does not have. */
export function isWrittenName(name: string | symbol): name is string {
  return typeof name === "string" && /^[a-z]\w*$/.test(name) && !PROBED_KEYS.has(name);
}

/**
 * Returns a placeholder for an invalid field. Only `entity` knows the names of the field and the
 * entity, so it reports the error, with the stack trace of the declaration.
 *
 * @param stub any field of the required type; its content is not used
 */
export function mistakenField<F extends object>(stub: F, message: string): F {
  const error = new Error(message);
  const field: F = new Proxy(stub, {
    get: (_target, name) => {
      if (name === MISTAKE) return error;
      return isWrittenName(name) ? () => field : undefined;
    },
  });
  return field;
}

/** Whether a value is an object whose keys can be read. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Returns the error that an invalid field carries; undefined for a valid field. */
export function mistakeOf(field: unknown): Error | undefined {
  const mistake: unknown = isObject(field) ? Reflect.get(field, MISTAKE) : undefined;
  return mistake instanceof Error ? mistake : undefined;
}

/** Returns a hint: the most similar known name, or all known names. */
export function suggestion(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? `Known: ${known.join(", ")}.` : `Did you mean "${meant}"?`;
}

/** Describes a value for an error message: `"string"`, `a function`, `undefined`. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/**
 * Returns the unknown keys of a definition, for the manifest: the server reports all of them. The
 * values become null, because JSON would drop functions with their keys.
 */
export function unknownKeys(rest: object): Readonly<Record<string, null>> {
  return Object.fromEntries(
    Object.entries(rest).flatMap(([key, value]) => (value === undefined ? [] : [[key, null]])),
  );
}

/** @throws Error when the value is neither undefined nor a list */
export function checkList(value: unknown, what: string, example: string): void {
  if (value !== undefined && !Array.isArray(value))
    throw new Error(`${what} is ${shown(value)}, and must be a list: ${example}.`);
}

/**
 * Checks an object of functions by name.
 *
 * @throws Error that names the function, with a suggestion
 */
export function checkFunctions(value: unknown, what: string, known: readonly string[]): void {
  if (value === undefined) return;
  if (typeof value !== "object" || value === null)
    throw new Error(`${what} is ${shown(value)}, and must be an object of functions.`);
  for (const [name, entry] of Object.entries(value)) {
    if (!known.includes(name))
      throw new Error(`${what} has the unknown key "${name}". ${suggestion(name, known)}`);
    if (entry !== undefined && typeof entry !== "function")
      throw new Error(`${what}.${name} is ${shown(entry)}, and must be a function.`);
  }
}
