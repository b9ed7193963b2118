import { expect, test } from "bun:test";
import { errorCode, errorText, toError } from "./errors.ts";

test("an error is described by its message, and any other thrown value by its text", () => {
  expect([new RangeError("too far"), "text", undefined, null, 7].map(errorText)).toEqual([
    "too far",
    "text",
    "undefined",
    "null",
    "7",
  ]);
});

test("a code is a text property of an object; any other value has none", () => {
  const thrown = [
    Object.assign(new Error("x"), { code: "ENOENT" }),
    { code: "40001" },
    { code: 5 },
    new Error("x"),
    "ENOENT",
    null,
    undefined,
  ];
  expect(thrown.map(errorCode)).toEqual(["ENOENT", "40001", "", "", "", "", ""]);
});

test("an error stays the same object, and any other value becomes one", () => {
  const error = new TypeError("x");
  expect(toError(error)).toBe(error);
  expect(toError("text")).toEqual(new Error("text"));
});
