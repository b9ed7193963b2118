import { expect, test } from "bun:test";
import fc from "fast-check";
import { ERROR_STATUS, isErrorBody, PylonError, statusOf } from "./errors.ts";

const KNOWN = Object.keys(ERROR_STATUS) as (keyof typeof ERROR_STATUS)[];
const codes = fc.oneof(
  fc.constantFrom<string>(...KNOWN),
  fc.string(),
  fc.constantFrom("toString", "__proto__", "constructor", "hasOwnProperty"),
);
const details = fc.record(
  {
    hint: fc.string(),
    field: fc.string(),
    extra: fc.dictionary(fc.constantFrom("retry_after_secs", "oldest_seq"), fc.nat()),
  },
  { requiredKeys: [] },
);

test("the body of an error has what it was made of, as clients read it", () => {
  fc.assert(
    fc.property(codes, fc.string(), details, (code, message, made) => {
      const error = new PylonError(code, message, made);
      const { hint, field, extra = {} } = made;
      const body = {
        code,
        message,
        ...(hint === undefined ? {} : { hint }),
        ...(field === undefined ? {} : { field }),
        ...extra,
      };
      expect(error.toBody()).toEqual({ error: body });
      expect(isErrorBody(JSON.parse(JSON.stringify(error.toBody())))).toBe(true);
      expect(error).toBeInstanceOf(Error);
      expect(error.status).toBe(statusOf(code));
    }),
  );
});

test("a code of Pylon's has its status, and any other one is a refusal of the app's own", () => {
  fc.assert(
    fc.property(codes, (code) => {
      const known = KNOWN.find((name) => name === code);
      expect(statusOf(code)).toBe(known === undefined ? 400 : ERROR_STATUS[known]);
    }),
  );
  for (const code of KNOWN) {
    expect(code).toMatch(/^[A-Z][A-Z_]*[A-Z]$/);
    expect(statusOf(code)).toBeGreaterThanOrEqual(400);
    expect(statusOf(code)).toBeLessThan(600);
  }
});

test("an error of another copy of the module is a PylonError, but none of a subclass", async () => {
  const copy = "./errors.ts?copy";
  const { PylonError: Other } = (await import(copy)) as { readonly PylonError: typeof PylonError };
  class Special extends PylonError {}

  const theirs = new Other("NOT_FOUND", "gone");
  expect(Other).not.toBe(PylonError);
  expect(theirs instanceof PylonError).toBe(true);
  expect(theirs instanceof Special).toBe(false);
  expect(new Special("NOT_FOUND", "gone") instanceof Other).toBe(true);
  expect(new PylonError("NOT_FOUND", "gone") instanceof Special).toBe(false);
  for (const value of [new Error("x"), null, undefined, 5, { code: "NOT_FOUND" }])
    expect(value instanceof PylonError).toBe(false);
});
