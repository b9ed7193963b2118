import { expect, test } from "bun:test";
import { durationText, jsonText, timeTexts } from "./format.ts";

test.each([
  [0.4231, "0.42 ms"],
  [31.4, "31 ms"],
  [2_140, "2.1 s"],
])("%p milliseconds are %p", (ms, text) => {
  expect(durationText(ms)).toBe(text);
});

test("JSON is formatted, also that of a value without one", () => {
  expect(jsonText({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(jsonText(undefined)).toBe("undefined");
});

test("the end of long JSON is left out, and its length named", () => {
  const text = jsonText("x".repeat(150_000));
  expect(text.length).toBeLessThan(100_100);
  expect(text).toEndWith(`… ${(50_002).toLocaleString()} more characters`);
});

test("a time is in UTC for machines", () => {
  expect(timeTexts("2030-01-31T12:00:00Z").iso).toBe("2030-01-31T12:00:00.000Z");
  expect(timeTexts(0).iso).toBe("1970-01-01T00:00:00.000Z");
});

test.each(["", "soon", Number.NaN, 1e20])("%p, which is not a time, is shown as it is", (at) => {
  expect(timeTexts(at)).toEqual({ iso: undefined, local: String(at) });
});
