import { expect, test } from "bun:test";
import fc from "fast-check";
import { checkRange } from "./number-range.ts";
import { isFull, MAX_BYTES_PER_UNIT, rowBytes, rowSize, upTo } from "./row-size.ts";
import type { Value } from "./store.ts";

const value: fc.Arbitrary<Value> = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const rows = fc.array(fc.dictionary(fc.string(), value), { maxLength: 10 });

test("the bytes of a row are at most three times its size", () => {
  fc.assert(
    fc.property(rows, (all) => {
      for (const row of all) {
        expect(rowBytes(row)).toBeGreaterThanOrEqual(rowSize(row));
        expect(rowBytes(row)).toBeLessThanOrEqual(rowSize(row) * MAX_BYTES_PER_UNIT);
      }
    }),
  );
  expect(rowSize({ id: "abc", n: 1, b: null })).toBe(3 + 8 + 8);
  expect(rowBytes({ id: "漢" })).toBe(3);
});

test("a page is the shortest that reaches its bytes; it is full if they ended it", () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 100 }), (all, maxBytes) => {
      const page = upTo(all, maxBytes);
      const sizeOf = (part: typeof all): number => part.reduce((sum, row) => sum + rowSize(row), 0);
      expect(page).toEqual(all.slice(0, page.length));
      expect(sizeOf(page.slice(0, -1))).toBeLessThan(maxBytes);
      if (page.length < all.length) expect(sizeOf(page)).toBeGreaterThanOrEqual(maxBytes);
      expect(isFull(page, maxBytes)).toBe(sizeOf(page) >= maxBytes);
    }),
  );
});

test("a sum of ints is exact or rejected; one of other numbers is finite or rejected", () => {
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.maxSafeInteger(), fc.constant(2 ** 53)), (sum) => {
      const check = (isInt: boolean) => (): void =>
        checkRange([{ s: sum }], [{ fn: "sum", field: "n", as: "s" }], () => isInt);
      if (Number.isSafeInteger(sum)) check(true)();
      else expect(check(true)).toThrow('"s" is too large');
      if (Number.isFinite(sum)) check(false)();
      else expect(check(false)).toThrow('"s" is too large');
    }),
  );
  // Without rows the sum is null, which is not a number.
  checkRange([{ s: null }], [{ fn: "sum", field: "n", as: "s" }], () => true);
});
