import { expect, test } from "bun:test";
import { isRecord } from "./is-record.ts";

test("a JSON object is a record, and no other JSON value is", () => {
  expect([{}, { a: 1 }, JSON.parse('{"__proto__": 1}')].every(isRecord)).toBe(true);
  expect([null, undefined, [], "text", 1, true].some(isRecord)).toBe(false);
});
