import { PylonError } from "@pylonsync/protocol";
import { describe, expect, test } from "bun:test";
import * as z from "zod";
import { checkedError, errorMaker, functionError } from "./declared-errors.ts";
import { mutation } from "./definition.ts";
import { v } from "./validators.ts";

const errors = {
  OUTBID: { highest: v.int() },
  CLOSED: {},
  NOT_FOUND: {},
  LATE: z.object({ secs: z.coerce.number() }),
};
const made = errorMaker({ errors });

test("a declared error has the data that is declared for it, and no other", () => {
  expect(made("OUTBID", "Too low.", { highest: 5 })).toMatchObject({
    code: "OUTBID",
    message: "Too low.",
    data: { highest: 5 },
  });
  expect(made("OUTBID", "Too low.", { highest: 5 }).toBody().error).toEqual({
    code: "OUTBID",
    message: "Too low.",
    data: { highest: 5 },
  });
  expect(made("CLOSED", "It is over.").data).toEqual({});
  expect(made("LATE", "Too late.", { secs: "3" }).data).toEqual({ secs: 3 });
  // The error of a middleware need not be declared by the function; it has no data.
  expect(made("AUTH_REQUIRED", "Sign in.").data).toBeUndefined();
  for (const [code, data, told] of [
    ["OUTBID", undefined, 'Missing required field "highest"'],
    ["OUTBID", { highest: 1.5 }, "highest: expected int"],
    ["OUTBID", { highest: 1, secret: 1 }, 'Unknown field "secret"'],
    ["CLOSED", { at: 1 }, 'Unknown field "at"'],
    ["AUTH_REQUIRED", { at: 1 }, "data only for declared codes"],
    ["toString", { at: 1 }, "data only for declared codes"],
  ] as const) {
    let thrown: unknown;
    try {
      made(code, "x", data);
    } catch (error) {
      thrown = error;
    }
    // A bug of the app, which callers do not see.
    expect(thrown).not.toBeInstanceOf(PylonError);
    expect(String(thrown)).toContain(told);
  }
});

test("data of an error from elsewhere is passed on only if it is declared", () => {
  const error = new PylonError("OUTBID", "Too low.", {
    hint: "Bid more.",
    extra: { data: { highest: 5 }, retry_after_secs: 1 },
  });
  expect(checkedError({ errors }, error).toBody()).toEqual(error.toBody());
  const { data: _, ...others } = error.toBody().error;
  expect(checkedError({}, error).toBody().error).toEqual(others);
  expect(() => checkedError({ errors: { OUTBID: { by: v.string() } } }, error)).toThrow("OUTBID");
});

test("functionError recognizes a declared error, and nothing else", () => {
  const error = made("CLOSED", "It is over.");
  expect(functionError("bid", error)).toBe(error);
  for (const other of [
    new Error("x"),
    Object.assign(new Error("x"), { code: "CLOSED" }),
    null,
    "x",
  ])
    expect(functionError("bid", other)).toBeNull();
});

describe("the declaration", () => {
  const declare = (declared: unknown) => () =>
    mutation(Object({ handler: () => null, errors: declared }));

  test.each([
    [[], "errors must be an object by codes"],
    [null, "errors must be an object by codes"],
    [{ outbid: {} }, "errors.outbid is not a valid code"],
    [{ OUTBID: { by: "string" } }, "args.by is not a validator"],
    [{ OUTBID: v.string() }, "errors.OUTBID must be declared like args"],
    [{ NOT_FOUND: { id: v.string() } }, "errors.NOT_FOUND is also an error code of Pylon"],
    [
      Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`E${n}`, {}])),
      "errors has 101 codes",
    ],
  ])("%j is told", (declared, told) => {
    expect(declare(declared)).toThrow(told);
  });

  test("is part of the definition", () => {
    expect(mutation({ handler: () => null, errors }).errors).toEqual(errors);
  });
});
