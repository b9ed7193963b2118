import { nearest } from "@pylonsync/query";

/** Where a field that could not be made carries what is wrong with it, for `entity` to say. */
const MISTAKE = Symbol.for("pylon.mistake");

/** What runtimes and test runners ask of any object: not a mistake of the app's. */
const ASKED_OF_ANYTHING = new Set([
  "then",
  "toJSON",
  "asymmetricMatch",
  "nodeType",
  "tagName",
  "inspect",
]);

/** Whether a name that an object does not have was written by the app's author. */
export function isWrittenName(name: string | symbol): name is string {
  return typeof name === "string" && /^[a-z]\w*$/.test(name) && !ASKED_OF_ANYTHING.has(name);
}

/**
 * Stands for a field that could not be made. Only `entity` knows the name of the field and of the
 * entity, so the mistake is reported there, with the place where it was made.
 *
 * @param stub a field of the wanted type, of which nothing is used
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

/** Whether a value is an object, whose keys may then be read. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** The mistake that a field carries; undefined for a field that was made. */
export function mistakeOf(field: unknown): Error | undefined {
  const mistake: unknown = isObject(field) ? Reflect.get(field, MISTAKE) : undefined;
  return mistake instanceof Error ? mistake : undefined;
}

/** The name that was probably meant, or all that there are. */
export function suggestion(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? `Known: ${known.join(", ")}.` : `Did you mean "${meant}"?`;
}

/** A value in words: `"string"`, `a function`, `undefined`. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/**
 * Keys that a definition has and should not, for the manifest: the server names them all. Their
 * values may be functions, which JSON would drop with their keys.
 */
export function unknownKeys(rest: object): Readonly<Record<string, null>> {
  return Object.fromEntries(
    Object.entries(rest).flatMap(([key, value]) => (value === undefined ? [] : [[key, null]])),
  );
}

/** @throws Error when the value is neither absent nor a list */
export function checkList(value: unknown, what: string, example: string): void {
  if (value !== undefined && !Array.isArray(value))
    throw new Error(`${what} is ${shown(value)}, and must be a list: ${example}.`);
}

/**
 * Checks an object of functions by name.
 *
 * @throws Error that names the function and what was probably meant
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
