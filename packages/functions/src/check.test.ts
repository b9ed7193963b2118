import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import * as fc from "fast-check";
import { action, parseArgs, parseValue, problemOf, query, v, type Validator } from "./index.ts";

/** The message of the error, with its field; null if the arguments are accepted. */
function refusalOf(args: Parameters<typeof query>[0]["args"], value: unknown): string | null {
  try {
    parseArgs(args === undefined ? {} : { args }, value);
    return null;
  } catch (error) {
    if (!(error instanceof PylonError)) throw error;
    expect(error.code).toBe("INVALID_ARGS");
    return `${error.field}: ${error.message}`;
  }
}

test("P3: keys that a function does not declare are rejected and named", () => {
  const profile = { name: v.string() };
  expect(refusalOf(profile, { name: "a" })).toBeNull();
  expect(refusalOf(profile, { name: "a", isStaff: true })).toBe(
    'isStaff: Unknown field "isStaff" (declared: name)',
  );
  expect(refusalOf(profile, { name: "a", nmae: "b" })).toContain('did you mean "name"?');
  expect(refusalOf({}, { any: 1 })).toContain("no fields are declared");
  const nested = { post: v.object({ title: v.string() }) };
  expect(refusalOf(nested, { post: { title: "a", ownerId: "u" } })).toBe(
    "post.ownerId: post.ownerId: unknown field (declared: title)",
  );
  expect(
    refusalOf({ all: v.array(nested.post) }, { all: [{ title: "a", ownerId: "u" }] }),
  ).toContain("all[0].ownerId");
  const either = v.union(v.object({ a: v.int() }), v.object({ b: v.int() }));
  expect(refusalOf({ either }, { either: { a: 1 } })).toBeNull();
  expect(refusalOf({ either }, { either: { a: 1, b: 2 } })).not.toBeNull();
  expect(refusalOf({ deep: v.optional(v.object({})) }, { deep: { x: 1 } })).toContain("deep.x");
});

test("a decimal is a string with at most the declared digits", () => {
  const price = { price: v.decimal(5, 2) };
  for (const good of ["1", "-123.45", "0.5", "007.10", "999.99"])
    expect(refusalOf(price, { price: good })).toBeNull();
  for (const bad of ["1234", "1.234", "1e3", "", "1,5", 1.5, null])
    expect(refusalOf(price, { price: bad })).toStartWith("price: ");
  expect(refusalOf(price, { price: "1.234" })).toBe(
    'price: price: expected decimal(5, 2) as a text ("12.50"), got "1.234"',
  );
  expect(refusalOf({ price: v.decimal() }, { price: "1".repeat(18) })).toBeNull();
  expect(refusalOf({ price: v.decimal() }, { price: "1".repeat(19) })).toContain(
    "expected decimal",
  );
  for (const [precision, scale] of [[2, 3], [40, 2], [20, 19], [1.5, 0], [0, 0], [3]] as const)
    expect(() => v.decimal(precision, scale)).toThrow("v.decimal() takes the digits");
});

test("P3: undeclared keys are kept if a function accepts them", () => {
  expect(refusalOf(undefined, { any: 1 })).toBeNull();
  expect(refusalOf(v.looseObject({ name: v.string() }), { name: "a", more: 1 })).toBeNull();
  expect(refusalOf(v.looseObject({ name: v.string() }), { more: 1 })).toContain('"name"');
  expect(refusalOf(v.object({ name: v.string() }), { name: "a", more: 1 })).toContain("more");
  expect(refusalOf({ o: v.looseObject({}) }, { o: { more: 1 } })).toBeNull();
  // Keys set to undefined are not sent.
  expect(refusalOf({}, { absent: undefined })).toBeNull();
  expect(() => parseArgs({ args: {} }, { rawBody: "" }, { supplied: ["rawBody"] })).not.toThrow();
});

test("P3: the handler's types follow", () => {
  query({
    args: v.looseObject({ name: v.string() }),
    handler: (_ctx, args) => [args.name.length, args["more"]],
  });
  action({
    args: { note: v.optional(v.nullable(v.string())) },
    handler: (_ctx, { note }) => {
      const text: string | null | undefined = note;
      return text;
    },
  });
});

test("P4: an optional argument may be absent, and is not null", () => {
  const args = {
    note: v.optional(v.string()),
    inner: v.optional(v.object({ n: v.optional(v.int()) })),
  };
  expect(refusalOf(args, {})).toBeNull();
  expect(refusalOf(args, { note: undefined })).toBeNull();
  expect(refusalOf(args, { note: null })).toBe("note: note: expected string or no value, got null");
  expect(refusalOf(args, { inner: null })).toContain("inner");
  expect(refusalOf(args, { inner: { n: null } })).toContain("inner.n");
  for (const accepting of [v.nullable(v.string()), v.union(v.null(), v.int()), v.any(), v.null()])
    expect(refusalOf({ note: v.optional(accepting) }, { note: null })).toBeNull();
  expect(refusalOf({ note: v.nullable(v.string()) }, {})).toContain("Missing");
  expect(refusalOf({ note: v.string() }, { note: null })).toContain("Missing");
});

test("Q8: a nonexistent date and a fraction for an int are rejected with the reason", () => {
  expect(refusalOf({ at: v.datetime() }, { at: "2024-02-29T10:00:00+02:00" })).toBeNull();
  for (const at of [
    "2026-02-30",
    "2026-13-01",
    "2026-02-30T00:00:00Z",
    "tomorrow",
    "2026-01-01T25:00:00Z",
  ])
    expect(refusalOf({ at: v.datetime() }, { at })).toBe(`at: at: expected datetime, got "${at}"`);
  expect(refusalOf({ n: v.int() }, { n: 2.5 })).toContain("got a fraction");
  expect(refusalOf({ n: v.int() }, { n: 1e20 })).toContain(
    "got 100000000000000000000, which is beyond",
  );
  expect(refusalOf({ n: v.int() }, { n: 2 ** 53 })).toContain("beyond");
  for (const n of [NaN, Infinity, -Infinity])
    for (const validator of [v.int(), v.number()])
      expect(refusalOf({ n: validator }, { n })).toContain(`got ${n}`);
});

test("P6: an error in the declared arguments is reported when the file is loaded", () => {
  const declare = (args: unknown) => () => query({ args: args as never, handler: () => null });
  expect(declare({ name: v.string })).toThrow("args.name is a function: write v.string()");
  expect(declare({ name: "string" })).toThrow("args.name is not a validator");
  expect(declare(v.string())).toThrow("args is a string");
  expect(() => (v as unknown as Record<string, () => unknown>)["sting"]?.()).toThrow(
    "There is no v.sting(). Did you mean v.string()?",
  );
  expect(declare([])).toThrow("args must be an object of validators");
});

const VALIDATORS = fc.letrec<{ one: Validator }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom(v.string(), v.int(), v.number(), v.boolean(), v.null(), v.any(), v.id("Note")),
    fc.constantFrom(v.datetime(), v.literal("a"), v.literal(1)),
    tie("one").map((items) => v.array(items)),
    tie("one").map((inner) => v.optional(inner)),
    fc.tuple(tie("one"), tie("one")).map(([one, other]) => v.union(one, other)),
    fc
      .dictionary(fc.constantFrom("a", "b", "__proto__"), tie("one"))
      .map((fields) => v.object(fields)),
    fc.dictionary(fc.constantFrom("a", "b"), tie("one")).map((fields) => v.looseObject(fields)),
  ),
})).one;
const VALUES = fc.letrec((tie) => ({
  one: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom("a", "b", "2026-01-01T00:00:00Z", 1, 1.5, NaN, true, null, undefined),
    fc.array(tie("one"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("one")),
  ),
})).one;

/** Whether it is accepted as an input of a shard. */
function isTaken(validator: Validator, value: unknown): boolean {
  try {
    parseValue(validator, value, "input");
    return true;
  } catch {
    return false;
  }
}

test("a value is accepted exactly if no problem of it can be listed", () => {
  fc.assert(
    fc.property(VALIDATORS, VALUES, (validator, value) => {
      expect(isTaken(validator, value)).toBe(problemOf(validator, value, "input") === undefined);
    }),
    { numRuns: 2000 },
  );
});
