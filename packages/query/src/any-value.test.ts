import { expect, test } from "bun:test";
import fc from "fast-check";
import { comparableWithAny, dateText } from "./any-value.ts";
import { normaliseDatetime } from "./datetime.ts";
import { QueryError } from "./errors.ts";

test("a date becomes the text that normaliseDatetime gives", () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (date) => {
      expect(dateText(date)).toBe(normaliseDatetime(date.toISOString()));
    }),
  );
  expect(dateText(new Date(NaN))).toBeUndefined();
});

test.each<[unknown, string]>([
  [new Date(NaN), "at is an invalid Date, which no field can contain."],
  [new Date(-1e15), "at is a Date, which no field can contain."],
  [[1], "at is a list, which no field can contain."],
  [Infinity, "at is Infinity, which no field can contain."],
  [undefined, "at is undefined."],
])("%p can't be compared with a field of an unknown kind", (value, message) => {
  expect(() => comparableWithAny(value, "at")).toThrow(QueryError);
  expect(() => comparableWithAny(value, "at")).toThrow(message);
});
