import { expect, test } from "bun:test";
import fc from "fast-check";
import { QueryError } from "./errors.ts";
import type { EntityShape, Order } from "./expr.ts";
import { parseOrder } from "./parse-order.ts";

const shape: EntityShape = {
  name: "Item",
  fields: new Map(["id", "a", "b", "c"].map((name) => [name, "string"])),
};
const keys = fc.uniqueArray(
  fc.record({
    field: fc.constantFrom("id", "a", "b", "c"),
    direction: fc.constantFrom("asc" as const, "desc" as const),
  }),
  { selector: ({ field }) => field },
);

test("each form of an order has the same meaning, in any case of its directions", () => {
  fc.assert(
    fc.property(keys, fc.boolean(), (order: Order[], isUpper) => {
      const pairs = order.map(({ field, direction }): [string, string] => [
        field,
        isUpper ? direction.toUpperCase() : direction,
      ]);
      const forms = [
        Object.fromEntries(pairs),
        pairs,
        pairs.map(([field, direction]) => ({ [field]: direction })),
      ];
      for (const form of forms) {
        expect(parseOrder(form, shape)).toEqual(order);
        expect(parseOrder(form)).toEqual(order);
      }
    }),
  );
});

test("an invalid order is rejected with its place", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
      try {
        for (const { field, direction } of parseOrder(value, shape)) {
          expect(shape.fields.has(field)).toBe(true);
          expect(["asc", "desc"]).toContain(direction);
        }
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        expect(error.field).toStartWith("$order");
      }
    }),
  );
  for (const value of [{ a: 1 }, { nope: "asc" }, [[1, "asc"]], [["a"]], "a", [null], { a: "up" }])
    expect(() => parseOrder(value, shape)).toThrow(QueryError);
});

test("an order has at most eight keys", () => {
  const names = Array.from({ length: 9 }, (_, index) => `f${index}`);
  const orderOf = (count: number) =>
    parseOrder(Object.fromEntries(names.slice(0, count).map((name) => [name, "asc"])));
  expect(orderOf(8).length).toBe(8);
  expect(() => orderOf(9)).toThrow(QueryError);
});
