import { MAX_SHARD_DEPTH } from "@pylonsync/protocol";

/**
 * Serializes a value so that parsing returns exactly the same value, including `-0`.
 * `JSON.stringify` silently changes values that JSON can't represent, and a shard restored from
 * such a state would behave differently.
 *
 * @throws TypeError that names the path of an unsupported value: a number that is not finite, a
 *   Map, a class, undefined in an array, or too deep nesting
 */
export function exactJson(value: unknown, at = "state", depth = 0): string {
  if (depth > MAX_SHARD_DEPTH)
    throw new TypeError(`${at} is nested deeper than ${MAX_SHARD_DEPTH} levels.`);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return exactNumber(value, at);
  if (typeof value !== "object") throw notExact(at, `a ${typeof value}`);
  if (Array.isArray(value)) {
    const items = value.map((item, index) => exactJson(item, `${at}[${index}]`, depth + 1));
    return `[${items.join(",")}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw notExact(at, `a ${value.constructor.name}`);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .map(([key, field]) => `${JSON.stringify(key)}:${exactJson(field, `${at}.${key}`, depth + 1)}`);
  return `{${fields.join(",")}}`;
}

function exactNumber(value: number, at: string): string {
  if (!Number.isFinite(value)) throw notExact(at, String(value));
  return Object.is(value, -0) ? "-0" : String(value);
}

function notExact(at: string, what: string): TypeError {
  return new TypeError(`${at} is ${what}: the state of a shard must be plain JSON data.`);
}
