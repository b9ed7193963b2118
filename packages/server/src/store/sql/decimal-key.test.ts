import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { addDecimals, compareDecimals, normaliseDecimal } from "@pylonsync/query";
import fc from "fast-check";
import { decimalKey, decimalOfKey, keyMean, keySum } from "./decimal-key.ts";

const LARGEST = "999999999999999999.999999999999999999";
const decimals = fc.oneof(
  fc.constantFrom("0", "-1", "0.000000000000000001", LARGEST, `-${LARGEST}`),
  fc
    .tuple(fc.constantFrom("", "-"), fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }), fc.nat(99_999))
    .map(([sign, whole, part]) => normaliseDecimal(`${sign}${whole}.${part}`) ?? "0"),
  fc.integer({ min: -100, max: 100 }).map((cents) => normaliseDecimal(cents / 100) ?? "0"),
);

test("keys have the order of their decimals, and their sums are exact or out of range", () => {
  using database = new Database(":memory:");
  database.run("CREATE TABLE t (k TEXT) STRICT");
  const insert = database.prepare("INSERT INTO t VALUES (?)");
  const read = database.prepare<{ sum: string | null; mean: number | null }, []>(
    `SELECT ${keySum("k")} AS sum, ${keyMean("k")} AS mean FROM t`,
  );
  fc.assert(
    fc.property(fc.array(decimals, { maxLength: 6 }), (values) => {
      database.run("DELETE FROM t");
      for (const value of values) insert.run(decimalKey(value));
      expect(values.map((value) => decimalOfKey(decimalKey(value)))).toEqual(values);
      const keys = values.map(decimalKey).toSorted();
      expect(keys.map(decimalOfKey)).toEqual(values.toSorted(compareDecimals));
      const found = read.get();
      if (values.length === 0) return expect(found).toEqual({ sum: null, mean: null });
      const sum = values.reduce(addDecimals, "0");
      const key = found?.sum ?? "";
      expect(decimalOfKey(key)).toBe(normaliseDecimal(sum));
      if (normaliseDecimal(sum) === undefined)
        expect(key > decimalKey(LARGEST)).toBe(!sum.startsWith("-"));
      const mean = Number(sum) / values.length;
      expect(Math.abs((found?.mean ?? 0) - mean)).toBeLessThanOrEqual(
        Math.abs(mean) * 1e-12 + 1e-17,
      );
    }),
    { numRuns: 300 },
  );
});
