import { PylonClientError } from "@pylonsync/sync";
import { expect, test } from "bun:test";
import { problemOf } from "./problem.ts";

test("a rejection is shown with the server's message, at the field that caused it", () => {
  const refusal = new PylonClientError(400, {
    code: "WEAK_PASSWORD",
    message: "The password is too short.",
    hint: "Developers: see the docs.",
    field: "password",
    request_id: "1",
  });
  expect(problemOf(refusal)).toEqual({ text: "The password is too short.", field: "password" });
});

test("a hint is shown if it is a time to wait", () => {
  const refusal = new PylonClientError(429, {
    code: "RATE_LIMITED",
    message: "Too many tries.",
    hint: "Try again in 30 s.",
    request_id: "1",
  });
  expect(problemOf(refusal).text).toBe("Too many tries. Try again in 30 s.");
});

test.each(["stack and secrets", undefined, { code: "E_INNER" }])(
  "any other failure hides internal details: %p",
  (reason) => {
    expect(problemOf(reason)).toEqual({ text: "Something went wrong. Try again." });
  },
);
