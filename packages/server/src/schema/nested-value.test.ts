import { expect, test } from "bun:test";
import { isStorable } from "@pylonsync/query";
import fc from "fast-check";
import { isSameValue, nestedValue } from "./nested-value.ts";

const isOk = (value: unknown): boolean => {
  if (typeof value === "string") return isStorable(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (value === null || typeof value === "boolean") return true;
  if (Array.isArray(value)) return value.every(isOk);
  const isPlain = Object.prototype.toString.call(value) === "[object Object]";
  return isPlain && Object.entries(value as object).every((entry) => entry.every(isOk));
};

test("JSON values are copied as JSON represents them, and anything else is rejected", () => {
  fc.assert(
    fc.property(fc.anything({ maxDepth: 3, withDate: true, withMap: true }), (value) => {
      const nested = nestedValue(value);
      const isObject = typeof value === "object" && value !== null;
      const names = JSON.stringify(Object.keys(Object(value) as object));
      // Keys named like the prototype, and objects with another prototype, are tested elsewhere.
      if (names.includes("__proto__")) return;
      expect(nested.ok).toBe(isObject && isOk(value) && isCopied(value));
      if (!nested.ok) return;
      expect<unknown>(nested.value).toEqual(JSON.parse(JSON.stringify(value)));
      expect(nested.value).not.toBe(value as never);
    }),
    { numRuns: 500 },
  );
});

/** Whether all of its objects are plain objects or lists. */
function isCopied(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isCopied);
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || prototype === Object.prototype;
  return isPlain && !Object.hasOwn(value, "__proto__") && Object.values(value).every(isCopied);
}

test("values are equal regardless of the order of their keys, and only as a whole", () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  const same = (one: unknown, other: unknown): boolean => isSameValue(one as null, other as null);
  fc.assert(
    fc.property(json, json, (one, other) => {
      const turned: unknown = JSON.parse(JSON.stringify(one), (_key, value: unknown) =>
        typeof value === "object" && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).toReversed())
          : value,
      );
      expect(same(JSON.parse(JSON.stringify(one)), turned)).toBe(true);
      expect(same(one, other)).toBe(Bun.deepEquals(one, other));
      expect(same([one], { 0: one })).toBe(false);
      expect(same({ a: one }, { a: one, b: one })).toBe(false);
    }),
  );
});
