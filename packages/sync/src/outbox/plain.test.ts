import { expect, test } from "bun:test";
import { MAX_CHANGE_BYTES, MAX_JSON_DEPTH } from "@pylonsync/protocol";
import fc from "fast-check";
import { PylonClientError } from "../connection/errors.ts";
import { toChange, toPlain, utf8Length } from "./plain.ts";

const { plain } = fc.letrec((tie) => ({
  plain: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.jsonValue({ maxDepth: 1 }),
    fc.date({ noInvalidDate: true }),
    fc.string().map((text) => ({ toJSON: () => ({ text }) })),
    fc.array(tie("plain"), { maxLength: 3 }),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor")),
      fc.oneof(tie("plain"), fc.constant(undefined)),
      { maxKeys: 3 },
    ),
  ),
}));

const unsendable = fc.constantFrom<unknown>(
  undefined,
  Number.NaN,
  Infinity,
  1n,
  Symbol("a"),
  () => 1,
  new Date(Number.NaN),
  new Map(),
  new Set(),
  new Uint8Array(1),
  new Error("a"),
  /a/,
  Promise.resolve(),
);

test("a value that JSON can represent is copied as JSON does, and shares nothing", () => {
  fc.assert(
    fc.property(plain, (value) => {
      const copy = toPlain(value);
      expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
      expect(JSON.stringify(toPlain(copy))).toBe(JSON.stringify(copy));
      if (typeof value === "object" && value !== null) expect(copy).not.toBe(value);
    }),
    { numRuns: 300 },
  );
});

test("a value that JSON can't represent is rejected, and its path is named", () => {
  const steps = fc.array(fc.oneof(fc.nat(2), fc.constantFrom("cents", "lines")), { maxLength: 4 });
  fc.assert(
    fc.property(unsendable, steps, (value, path) => {
      // An undefined key inside a value is omitted, as JSON does.
      if (value === undefined && typeof path.at(-1) === "string") return;
      const around = path
        .toReversed()
        .reduce<unknown>(
          (inner, step) =>
            typeof step === "number"
              ? [...Array.from({ length: step }, () => 0), inner]
              : { [step]: inner },
          value,
        );
      const place = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`));
      const error = refusal(() => toPlain(around));
      expect([error.code, error.field]).toEqual(["UNSENDABLE", place.join("").replace(/^\./, "")]);
    }),
  );
});

test("a value of the maximum depth is copied; one level more, or a cycle, is rejected", () => {
  const nested = (levels: number): unknown =>
    Array.from({ length: levels }).reduce<unknown>((inner) => ({ a: inner }), 1);
  expect(JSON.stringify(toPlain(nested(MAX_JSON_DEPTH)))).toBe(
    JSON.stringify(nested(MAX_JSON_DEPTH)),
  );
  expect(refusal(() => toPlain(nested(MAX_JSON_DEPTH + 1))).message).toContain("nested too deeply");
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  expect(refusal(() => toPlain(cycle)).code).toBe("UNSENDABLE");
});

test("a change has plain fields; an undefined field is named in the error", () => {
  const target = { entity: "Todo", row_id: "1" };
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), plain), (fields) => {
      for (const kind of ["insert", "update"] as const)
        expect(JSON.stringify(toChange({ ...target, kind }, fields))).toBe(
          JSON.stringify({ ...target, kind, data: fields }),
        );
      expect(toChange({ ...target, kind: "delete" }, fields)).toEqual({
        ...target,
        kind: "delete",
      });
      const absent = { ...fields, due: undefined };
      expect(refusal(() => toChange({ ...target, kind: "update" }, absent)).field).toBe("due");
    }),
  );
});

test("a change of the maximum size in bytes is accepted, and one byte more is not", () => {
  const target = { entity: "Todo", row_id: "1", kind: "insert" as const };
  const around = JSON.stringify({ ...target, data: { text: "" } }).length;
  const text = "é"
    .repeat((MAX_CHANGE_BYTES - around) >> 1)
    .padEnd(MAX_CHANGE_BYTES - around - ((MAX_CHANGE_BYTES - around) >> 1), "a");
  expect(toChange(target, { text })).toEqual({ ...target, data: { text } });
  expect(refusal(() => toChange(target, { text: `${text}a` })).message).toContain("larger than");
});

test("the length of a text in UTF-8 is that of its bytes", () => {
  const unit = fc.constantFrom(
    "\0",
    "a",
    "\x7f",
    "\x80",
    "é",
    "\u07ff",
    "\u0800",
    "日",
    "\uffff",
    "\u{1F600}",
  );
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      expect(utf8Length(text)).toBe(Buffer.byteLength(text));
    }),
  );
});

function refusal(work: () => unknown): PylonClientError {
  try {
    work();
  } catch (error) {
    if (error instanceof PylonClientError) return error;
    throw error;
  }
  throw new Error("It was taken.");
}
