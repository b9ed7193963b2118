import { expect, test } from "bun:test";
import { cellText, parseEntered, textOf } from "./field-value.ts";

test.each([
  ["int", "12", 12],
  ["int", " -3 ", -3],
  ["float", "1.5", 1.5],
  ["bool", "false", false],
  ["string", "12", "12"],
  ["string", "", ""],
  ["richtext", "", ""],
  ["encrypted", "", ""],
  ["int", "9007199254740991", 9_007_199_254_740_991],
  ["int", "", null],
  ["bool", "", null],
  ["json", "", null],
  ["id(User)", "", null],
  ["datetime", "2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"],
  ["datetime", "", null],
  ["decimal", "1.10", "1.10"],
  ["json", '{"a": [1]}', { a: [1] }],
  ["array", "[1, 2]", [1, 2]],
  ["id(User)", "u1", "u1"],
] as const)("%s: %p is entered as %p", (type, text, value) => {
  expect(parseEntered(text, { type })).toEqual({ value });
});

test.each([
  ["int", "x"],
  ["int", "9007199254740993"],
  ["float", " "],
  ["bool", "yes"],
  ["json", "{a: 1}"],
] as const)("%s: %p is refused with a sentence", (type, text) => {
  const entered = parseEntered(text, { type });
  expect("problem" in entered && entered.problem).toMatch(/^(Enter|This is not JSON)/);
});

test.each([0, 1.5, "", "text", true, { a: [1, null] }, [1, "b"]])(
  "%p has a text that is read as the same value",
  (value) => {
    expect(parseEntered(textOf(value) ?? "", { type: typeOf(value) })).toEqual({ value });
  },
);

test("null has no text: an empty text is another value", () => {
  expect([textOf(null), textOf(undefined), textOf("")]).toEqual([null, null, ""]);
});

function typeOf(value: unknown): "json" | "float" | "bool" | "string" {
  if (typeof value === "number") return "float";
  if (typeof value === "boolean") return "bool";
  return value !== null && typeof value === "object" ? "json" : "string";
}

test("a cell shows one short line", () => {
  expect(cellText("two\n  lines")).toBe("two lines");
  expect(cellText({ a: 1 })).toBe('{"a":1}');
  expect(cellText(null)).toBe("");
  expect(cellText("x".repeat(500))).toHaveLength(120);
});
