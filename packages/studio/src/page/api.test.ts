import { expect, test } from "bun:test";
import { ApiError } from "./api.ts";

test.each([
  ["a response", { error: { code: "NOT_FOUND", message: "No such row.", hint: "Look again." } }],
  [
    "a transaction",
    {
      committed: false,
      results: [
        { op: "insert", id: "a", ok: true },
        { op: "update", ok: false, error: { code: "NOT_FOUND", message: "No such row." } },
      ],
    },
  ],
])("the error of %s has its code and message", (_, body) => {
  expect(new ApiError(404, body)).toMatchObject({ code: "NOT_FOUND", message: "No such row." });
});

test.each([null, "<html>", {}, { error: 5 }, { results: [1] }])(
  "a response of another shape, %p, has the status",
  (body) => {
    expect(new ApiError(502, body)).toMatchObject({
      code: "HTTP_502",
      message: "The server responded with 502.",
      field: undefined,
    });
  },
);
