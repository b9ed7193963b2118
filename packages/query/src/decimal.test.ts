import fc from "fast-check";
import { expect, test } from "bun:test";
import {
  addDecimals,
  compareDecimals,
  normaliseDecimal,
  parseFilter,
  compilePredicate,
  checkPolicy,
  normaliseLiterals,
  parsePolicy,
  sortRows,
  type EntityShape,
  type FieldKind,
} from "./index.ts";

/**
 * Decimals in their normal form, many of them close to each other, with their value in units of
 * 10^-18.
 */
const decimals = fc
  .tuple(
    fc.oneof(
      fc.bigInt({ min: -200n, max: 200n }),
      fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }),
    ),
    fc.nat(18),
  )
  .map(([digits, scale]) => {
    const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, "0");
    const point = text.length - scale;
    const written = `${digits < 0n ? "-" : ""}${text.slice(0, point)}.${text.slice(point)}0`;
    const decimal = normaliseDecimal(scale === 0 ? String(digits) : written.slice(0, point + 20));
    return { decimal: decimal ?? "0", size: digits * 10n ** BigInt(18 - scale) };
  })
  .filter(({ size }) => size < 10n ** 36n && size > -(10n ** 36n));

test("decimals have one normal form, the order of their values, and exact sums", () => {
  fc.assert(
    fc.property(decimals, decimals, (a, b) => {
      expect(normaliseDecimal(a.decimal)).toBe(a.decimal);
      expect(a.decimal === b.decimal).toBe(a.size === b.size);
      expect(Math.sign(compareDecimals(a.decimal, b.decimal))).toBe(
        a.size < b.size ? -1 : a.size > b.size ? 1 : 0,
      );
      const back = addDecimals(addDecimals(a.decimal, b.decimal), negated(b.decimal));
      expect(back).toBe(a.decimal);
    }),
    { numRuns: 500 },
  );
});

function negated(decimal: string): string {
  return decimal.startsWith("-") ? decimal.slice(1) : `-${decimal}`;
}

test("a value that is not a decimal has no normal form", () => {
  const forms: [unknown, string | undefined][] = [
    ["012.50", "12.5"],
    ["-0.00", "0"],
    [12.5, "12.5"],
    [-3, "-3"],
    ["999999999999999999.999999999999999999", "999999999999999999.999999999999999999"],
    ["1000000000000000000", undefined],
    ["0.0000000000000000001", undefined],
    [2 ** 53, undefined],
    [1e-7, undefined],
    ["1e3", undefined],
    ["+1", undefined],
    [".5", undefined],
    ["5.", undefined],
    ["1,5", undefined],
    ["", undefined],
    ["0".repeat(100), undefined],
    [Number.NaN, undefined],
    [null, undefined],
  ];
  for (const [value, form] of forms)
    expect([value, normaliseDecimal(value)]).toEqual([value, form]);
});

const shape: EntityShape = {
  name: "Line",
  fields: new Map<string, FieldKind>([
    ["id", "id"],
    ["price", "decimal"],
    ["limit", "decimal"],
    ["count", "int"],
  ]),
};

test("filters, orders and policies compare decimals by value", () => {
  const rows = ["9", "10", "-1.5", null].map((price, n) => ({ id: `r${n}`, price, limit: "9.5" }));
  const found = (filter: object): string[] => {
    const { where, order } = parseFilter(filter, shape);
    const keeps = compilePredicate(where);
    return sortRows(
      rows.filter((data) => keeps({ data })),
      order,
    ).map(({ id }) => id);
  };
  expect(found({ price: { $gt: 9 } })).toEqual(["r1"]);
  expect(found({ price: { $in: ["9.00", 10] } })).toEqual(["r0", "r1"]);
  expect(found({ $order: { price: "desc" } })).toEqual(["r3", "r1", "r0", "r2"]);
  expect(() => parseFilter({ price: "dear" }, shape)).toThrow("a decimal");
  expect(() => parseFilter({ price: { $like: "1" } }, shape)).toThrow("text field");

  const scope = { schema: new Map([["Line", shape]]), entity: "Line", roots: ["data"] as const };
  const allowed = (policy: string): string[] => {
    const expr = parsePolicy(policy);
    expect(checkPolicy(expr, scope)).toEqual([]);
    const keeps = compilePredicate(normaliseLiterals(expr, scope));
    return rows.filter((data) => keeps({ data })).map(({ id }) => id);
  };
  expect(allowed("data.price < data.limit")).toEqual(["r0", "r2"]);
  expect(allowed("9.50 <= data.price")).toEqual(["r1"]);
  expect(allowed('data.price in ["9.0", 10]')).toEqual(["r0", "r1"]);
  for (const policy of ["data.price == data.count", 'data.price > "dear"', "data.price == true"])
    expect(checkPolicy(parsePolicy(policy), scope)).not.toEqual([]);
});
