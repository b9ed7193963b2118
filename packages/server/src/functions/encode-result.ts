import { MAX_RESULT_DEPTH } from "@pylonsync/protocol";
import { isRecord } from "../util/is-record.ts";

/** The result of a function, and its JSON text. */
export interface EncodedResult {
  readonly value: unknown;
  readonly json: string;
}

/**
 * A function returned a value that JSON can't represent: a bug of the app. The message contains the
 * path inside the value.
 */
export class UnencodableResultError extends Error {
  override readonly name = "UnencodableResultError";

  constructor(path: string, reason: string, cause?: unknown) {
    super(
      `The function returned a value that is not valid JSON: ${shortened(path)} ${reason}.`,
      cause === undefined ? undefined : { cause },
    );
  }
}

/**
 * Encodes the result of a function. `JSON.stringify` alone would drop functions and symbols,
 * convert NaN to null and a Map to `{}`, and not report the path of an invalid value.
 *
 * @returns the value with its JSON; `undefined` becomes null
 * @throws UnencodableResultError with the path, such as `result.items[2].total`
 */
export function encodeResult(value: unknown): EncodedResult {
  const result = value ?? null;
  if (!isPlainJson(result)) new ResultCheck().check(result, "result");
  try {
    const json: string | undefined = JSON.stringify(result);
    if (json !== undefined) return { value: result, json };
  } catch (error) {
    // A getter or a `toJSON` may return a different value the second time.
    throw new UnencodableResultError("result", "changes while it is encoded", error);
  }
  throw new UnencodableResultError("result", "has no JSON form");
}

/** Whether a value is certainly valid JSON, decided without the paths that errors contain. */
function isPlainJson(value: unknown): boolean {
  try {
    return isPlain(value, MAX_RESULT_DEPTH);
  } catch {
    // A getter or a Proxy of the app threw.
    return false;
  }
}

/** @param levels how many levels of objects are allowed, which also ends a cycle */
function isPlain(value: unknown, levels: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      return value === null || (levels > 0 && isPlainObject(value, levels));
    default:
      return false;
  }
}

/** As `isPlain`, for a list or an object. */
function isPlainObject(value: object, levels: number): boolean {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1)
      if (!isPlain(value[index], levels - 1)) return false;
    return true;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || Object.hasOwn(value, "toJSON"))
    return false;
  // `for in` is twice as fast as iterating over a list of the keys. Inherited properties are not
  // encoded.
  for (const key in value)
    if (Object.hasOwn(value, key) && !isPlain(Reflect.get(value, key), levels - 1)) return false;
  return true;
}

/** Walks a value as `JSON.stringify` does, and rejects values that it would lose. */
class ResultCheck {
  /** The objects that contain the current value. */
  readonly #around = new Set<object>();

  check(value: unknown, path: string): void {
    switch (typeof value) {
      case "string":
      case "boolean":
      case "undefined":
        return;
      case "number":
        if (Number.isFinite(value)) return;
        throw new UnencodableResultError(path, `is ${value}`);
      case "bigint":
        throw new UnencodableResultError(path, "is a BigInt: return a number, or text");
      case "function":
      case "symbol":
        throw new UnencodableResultError(path, `is a ${typeof value}`);
      case "object":
        if (value !== null) this.#checkObject(value, path);
    }
  }

  #checkObject(value: object, path: string): void {
    if (this.#around.has(value)) throw new UnencodableResultError(path, "contains itself");
    if (this.#around.size >= MAX_RESULT_DEPTH)
      throw new UnencodableResultError(path, `nests deeper than ${MAX_RESULT_DEPTH} levels`);
    this.#around.add(value);
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1)
        this.check(value[index], `${path}[${index}]`);
    } else if (isRecord(value)) this.#checkMembers(value, path);
    this.#around.delete(value);
  }

  #checkMembers(value: Readonly<Record<string, unknown>>, path: string): void {
    if (value instanceof Date && Number.isNaN(value.getTime()))
      throw new UnencodableResultError(path, "is an invalid Date");
    const prototype: unknown = Object.getPrototypeOf(value);
    const isPlain = prototype === Object.prototype || prototype === null;
    if (!isPlain || Object.hasOwn(value, "toJSON")) {
      const replaced = replacementOf(value, path);
      if (replaced !== NO_REPLACEMENT) return this.check(replaced, path);
      const kind = isPlain ? undefined : opaqueKind(value);
      if (kind !== undefined) throw new UnencodableResultError(path, `is ${kind}`);
    }
    // As in `isPlainObject`.
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue;
      this.check(memberOf(value, key, path), memberPath(path, key));
    }
  }
}

const NO_REPLACEMENT = Symbol("no toJSON");

/** Returns the result of the object's `toJSON`, if it has one. */
function replacementOf(value: object, path: string): unknown {
  try {
    const toJSON: unknown = Reflect.get(value, "toJSON");
    return typeof toJSON === "function" ? toJSON.call(value, "") : NO_REPLACEMENT;
  } catch (error) {
    throw new UnencodableResultError(path, `has a toJSON that throws ${textOf(error)}`, error);
  }
}

function memberOf(value: Readonly<Record<string, unknown>>, key: string, path: string): unknown {
  try {
    return value[key];
  } catch (error) {
    throw new UnencodableResultError(
      memberPath(path, key),
      `is a getter that throws ${textOf(error)}`,
      error,
    );
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : typeof error;
}

/**
 * Describes an object that `JSON.stringify` would silently convert to `{}` or a list of numbers.
 */
function opaqueKind(value: object): string | undefined {
  if (value instanceof Map) return "a Map: return Object.fromEntries(map)";
  if (value instanceof Set) return "a Set: return [...set]";
  if (value instanceof Response)
    return "a Response: only an HTTP function, export default http({...}), may return one";
  if (value instanceof Promise) return "a Promise: await it";
  if (value instanceof Error) return "an Error: throw it, or return its message";
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob)
    return "binary data: return it as base64 text";
  if (value instanceof Number || value instanceof String || value instanceof Boolean)
    return undefined;
  if (Object.keys(value).length > 0) return undefined;
  return `a ${value.constructor.name || "class instance"} without a field or a toJSON method`;
}

/** Shortens a long path to its start and end. */
function shortened(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 100)}...${path.slice(-90)}`;
}

function memberPath(path: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}
