import { expect, test } from "bun:test";
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from "@pylonsync/protocol";
import fc from "fast-check";
import { JsonScan, scanJson } from "./json-scan.ts";

function isRefused(...texts: readonly string[]): boolean {
  const scan = new JsonScan();
  try {
    for (const text of texts) scan.bytes(new TextEncoder().encode(text));
    return false;
  } catch {
    return true;
  }
}

/** Counts the values as the scan does, from the parsed value. */
function shapeOf(value: unknown): { readonly depth: number; readonly values: number } {
  if (typeof value !== "object" || value === null) return { depth: 0, values: 1 };
  const parts = Object.values(value).map(shapeOf);
  return {
    depth: 1 + Math.max(0, ...parts.map(({ depth }) => depth)),
    values: 1 + parts.reduce((sum, part) => sum + part.values, 0),
  };
}

test("D2: JSON within the limits passes, however it is split, whatever its strings contain", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), fc.nat(), fc.nat(), (value, a, b) => {
      const bytes = new TextEncoder().encode(JSON.stringify(value));
      const cuts = [a, b].map((cut) => cut % (bytes.length + 1)).toSorted((x, y) => x - y);
      const [first = 0, second = 0] = cuts;
      // With exactly as many values as there are it passes; a misread string would count as more.
      const scan = new JsonScan(2 * shapeOf(value).values);
      for (const piece of [
        bytes.subarray(0, first),
        bytes.subarray(first, second),
        bytes.subarray(second),
      ])
        scan.bytes(piece);
      new JsonScan(2 * shapeOf(value).values).text(JSON.stringify(value));
      scanJson(JSON.stringify(value), 2 * shapeOf(value).values);
    }),
  );
});

test.each([
  ["[".repeat(MAX_JSON_DEPTH), false],
  ["[".repeat(MAX_JSON_DEPTH + 1), true],
  ['{"a":'.repeat(MAX_JSON_DEPTH + 1), true],
  [`"${"[".repeat(100)}"`, false],
  [`"\\"${"[".repeat(100)}"`, false],
  [`"\\\\"${"[".repeat(100)}`, true],
  [`["${",".repeat(MAX_JSON_VALUES)}"]`, false],
  [`[${"0,".repeat(MAX_JSON_VALUES)}0]`, true],
])("D2: %#: brackets and commas count outside of strings only", (text, refused) => {
  expect(isRefused(text)).toBe(refused);
  expect(isRefused(text.slice(0, 3), text.slice(3))).toBe(refused);
  const scanned = expect(() => scanJson(text));
  if (refused) scanned.toThrow("The body");
  else scanned.not.toThrow();
});
