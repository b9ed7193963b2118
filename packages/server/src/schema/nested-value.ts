import { MAX_FIELD_DEPTH } from "@pylonsync/protocol";
import { describeValue, isStorable, WANTED } from "@pylonsync/query";
import type { Json } from "@pylonsync/sdk";

/**
 * A nested value in its stored form, or the reason why it is rejected: `reason` completes "the
 * field ...".
 */
export type NestedValue =
  | { readonly ok: true; readonly value: Exclude<Json, null> }
  | { readonly ok: false; readonly reason: string };

/**
 * Returns a copy of a value of a json field, so that later changes of the original have no effect.
 * The value is an object or a list, so that null always means the absence of a value.
 */
export function nestedValue(value: unknown): NestedValue {
  if (!isPlainObject(value) && !Array.isArray(value))
    return { ok: false, reason: `is ${describeValue(value)}, not ${WANTED.json}` };
  try {
    const copy = copied(value, "", MAX_FIELD_DEPTH);
    return copy === null ? { ok: false, reason: "is null" } : { ok: true, value: copy };
  } catch (error) {
    if (error instanceof NotJson) return { ok: false, reason: error.message };
    throw error;
  }
}

/** Whether two stored values are equal, regardless of the order of keys. */
export function isSameValue(one: Json | undefined, other: Json | undefined): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return false;
  const [keys, others] = [Object.entries(one), Object.entries(other)];
  if (Array.isArray(one) !== Array.isArray(other) || keys.length !== others.length) return false;
  const known = new Map<string, Json>(others);
  return keys.every(
    ([key, value]: [string, Json]) => known.has(key) && isSameValue(value, known.get(key)),
  );
}

class NotJson extends Error {}

function copied(value: unknown, path: string, levels: number): Json {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (!isStorable(value)) throw notJson(path, "contains an invalid character");
    return value;
  }
  // JSON does not distinguish -0 from 0.
  if (typeof value === "number" && Number.isFinite(value)) return value === 0 ? 0 : value;
  if (!Array.isArray(value) && !isPlainObject(value))
    throw notJson(path, `is ${describeValue(value)}, which JSON does not have`);
  if (levels === 0) throw new NotJson(`nests more than ${MAX_FIELD_DEPTH} levels`);
  if (Array.isArray(value))
    return Array.from(value, (item: unknown, index) =>
      copied(item, `${path}[${index}]`, levels - 1),
    );
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (key === "__proto__" || !isStorable(key))
        throw notJson(path, `has a key that can't be stored, ${describeValue(key)}`);
      return [key, copied(item, path === "" ? key : `${path}.${key}`, levels - 1)];
    }),
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The maximum length of a path in a message: a key may have any length. */
const MAX_SHOWN_PATH = 80;

function notJson(path: string, what: string): NotJson {
  return new NotJson(path === "" ? what : `${what}, at ${path.slice(0, MAX_SHOWN_PATH)}`);
}
