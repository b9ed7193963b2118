import { expect, test } from "bun:test";
import { errorCode, errorText, toError } from "./errors.ts";

test("an error is told by its message, and whatever else is thrown by its text", () => {
  expect([new RangeError("too far"), "text", undefined, null, 7].map(errorText)).toEqual([
    "too far",
    "text",
    "undefined",
    "null",
    "7",
  ]);
});

test("a code is text that an object has; all else has none", () => {
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

test("an error stays the same object, and anything else becomes one", () => {
  const error = new TypeError("x");
  expect(toError(error)).toBe(error);
  expect(toError("text")).toEqual(new Error("text"));
});
