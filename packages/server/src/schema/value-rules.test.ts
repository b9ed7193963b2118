import { MAX_PATTERN_TEXT } from "@pylonsync/protocol";
import type { ManifestField } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { valueRuleOf } from "./value-rules.ts";

type Rules = Omit<ManifestField, "name" | "optional" | "unique">;

const reasonOf = (rules: Rules, value: string | number | boolean): string | undefined =>
  valueRuleOf(rules)?.(value)?.reason;

test("a field without rules has none", () => {
  expect(valueRuleOf({ type: "string" })).toBeUndefined();
});

test("limits count the characters of a text, and compare the value of a number", () => {
  const limit = fc.option(fc.nat(4), { nil: undefined });
  fc.assert(
    fc.property(
      limit,
      limit,
      fc.array(fc.constantFrom("a", "\u{1f95b}", "\ud83e"), { maxLength: 10 }),
      fc.nat(5),
      (min, max, characters, number) => {
        const text = characters.join("");
        const rules: Rules = {
          type: "string",
          ...(min === undefined ? {} : { min }),
          ...(max === undefined ? {} : { max }),
        };
        const fits = (count: number): boolean => count >= (min ?? 0) && count <= (max ?? Infinity);
        expect(reasonOf(rules, text) === undefined).toBe(fits(Array.from(text).length));
        expect(reasonOf({ ...rules, type: "int" }, number) === undefined).toBe(fits(number));
      },
    ),
  );
});

test.each<[rules: Rules, value: string | number, reason: string]>([
  [{ type: "int", min: 2 }, 1, "is 1, but must be at least 2"],
  [{ type: "int", max: 2 }, 3, "is 3, but must be at most 2"],
  [{ type: "string", min: 1 }, "", "must have at least 1 character"],
  [{ type: "string", max: 2 }, "abc", "must have at most 2 characters"],
  [{ type: "string", min: 2, max: 2 }, "a", "must have exactly 2 characters"],
  [{ type: "string", min: 1, max: 2 }, "", "must have 1 to 2 characters"],
  [{ type: "string", enum: ["open", "done"] }, "opn", 'is "opn", not one of "open", "done"'],
  [{ type: "string", pattern: "^a+$" }, "b", 'is "b", which does not match /^a+$/'],
  [
    { type: "decimal", precision: 4, scale: 2 },
    "123",
    "is 123, but may have at most 2 digits before the point and 2 after it",
  ],
  [
    { type: "decimal", precision: 2, scale: 2 },
    "0.125",
    "is 0.125, but may have at most 0 digits before the point and 2 after it",
  ],
  [
    { type: "decimal", precision: 4, scale: 2, min: 0.5 },
    "-10",
    "is -10, but must be at least 0.5",
  ],
  [{ type: "decimal", precision: 4, scale: 2, max: 9 }, "10", "is 10, but must be at most 9"],
])("%j rejects %j: %s", (rules, value, reason) => {
  expect(reasonOf(rules, value)).toBe(reason);
});

test("a value that an enum rejects is reported with a suggestion", () => {
  const rule = valueRuleOf({ type: "string", enum: ["open", "done"] });
  expect(rule?.("opn")?.hint).toBe('Did you mean "open"?');
  expect(rule?.("done")).toBeUndefined();
});

test("a pattern is not run on a text that is too long for it", () => {
  const rules: Rules = { type: "string", pattern: "^(a+)+$", pattern_flags: "i" };
  expect(reasonOf(rules, "A".repeat(MAX_PATTERN_TEXT))).toBeUndefined();
  expect(reasonOf(rules, `${"a".repeat(MAX_PATTERN_TEXT)}!`)).toContain("at most");
});

test("only the first broken rule is reported, but all rules are checked", () => {
  const rules: Rules = { type: "string", enum: ["a", "bb", "ccc"], max: 2, pattern: "^[ab]+$" };
  const told = ["a", "bb", "ccc", "d"].map((value) => reasonOf(rules, value)?.slice(0, 9));
  expect(told).toEqual([undefined, undefined, "must have", 'is "d", n']);
});
