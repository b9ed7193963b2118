import { PylonError } from "@pylonsync/protocol";
import { type } from "arktype";
import { expect, test } from "bun:test";
import * as valibot from "valibot";
import { z } from "zod";
import { parseArgs, parseResult } from "./check.ts";
import { query } from "./definition.ts";
import { isStandardSchema, jsonSchemaOf, type StandardSchema } from "./standard-schema.ts";
import { v } from "./validators.ts";

const schemas: Readonly<Record<string, StandardSchema>> = {
  zod: z.object({ title: z.string(), place: z.object({ x: z.number() }).optional() }),
  valibot: valibot.object({
    title: valibot.string(),
    place: valibot.optional(valibot.object({ x: valibot.number() })),
  }),
  arktype: type({ title: "string", "place?": { x: "number" } }),
};

function refusal(work: () => unknown): PylonError {
  try {
    work();
  } catch (error) {
    if (error instanceof PylonError) return error;
    throw error;
  }
  throw new Error("It was not refused.");
}

for (const [name, args] of Object.entries(schemas)) {
  test(`${name}: valid arguments pass, others are rejected with their field`, () => {
    const whole = { title: "milk", place: { x: 1 } };
    expect(parseArgs({ args }, whole)).toEqual(whole);
    const error = refusal(() => parseArgs({ args }, { title: "milk", place: { x: "1" } }));
    expect(error).toMatchObject({ code: "INVALID_ARGS", field: "place.x" });
    expect(error.message).toContain("place.x");
    expect(refusal(() => parseArgs({ args }, {})).field).toBe("title");
    expect(refusal(() => parseArgs({ args }, [])).code).toBe("INVALID_ARGS");
  });

  test(`${name}: an undeclared key never reaches a handler`, () => {
    for (const sent of [
      { title: "milk", isStaff: true },
      { title: "milk", place: { x: 1, isStaff: true } },
    ]) {
      try {
        expect(JSON.stringify(parseArgs({ args }, sent))).not.toContain("isStaff");
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGS" });
      }
    }
  });
}

test("an undeclared key is rejected by name, if the library exposes its keys", () => {
  const args = z.object({ list: z.array(z.object({ title: z.string() })) });
  const error = refusal(() => parseArgs({ args }, { list: [{ title: "a", titel: "b" }] }));
  expect(error).toMatchObject({ code: "INVALID_ARGS", field: "list.0.titel" });
  expect(error.message).toContain('did you mean "title"?');
});

test("a schema may accept other keys, and an unreadable one keeps its own rule", () => {
  const sent = { title: "a", other: 1 };
  expect(parseArgs({ args: z.looseObject({ title: z.string() }) }, sent)).toEqual(sent);
  const dated = z.object({ title: z.string(), at: z.date().optional() });
  expect(parseArgs({ args: dated }, sent)).toEqual({ title: "a" });
  expect(jsonSchemaOf(dated)).toBeNull();
});

test("keys that the server supplies need no declaration", () => {
  const sent = { title: "a", rawBody: "{}" };
  const args = z.object({ title: z.string() });
  expect(parseArgs({ args }, sent, { supplied: ["rawBody"] })).toEqual({ title: "a" });
});

test("the handler receives the arguments as the schema transforms them", () => {
  const args = z.object({ n: z.coerce.number(), tags: z.array(z.string()).default([]) });
  expect(parseArgs({ args }, { n: "4" })).toEqual({ n: 4, tags: [] });
});

test("an asynchronous schema, or one without an object, is a bug of the app", () => {
  const waits = z.object({ a: z.string() }).refine(async () => true);
  expect(() => parseArgs({ args: waits }, { a: "x" })).toThrow(Error);
  const text = z.object({ a: z.string() }).transform(({ a }) => a);
  expect(() => parseArgs({ args: text }, { a: "x" })).toThrow(TypeError);
});

test("a result is validated and transformed by a schema", () => {
  const returns = z.object({ id: z.string() });
  expect(parseResult({ returns }, { id: "a" })).toEqual({ id: "a" });
  expect(() => parseResult({ returns }, { id: 1 })).toThrow("does not match its declared returns");
});

test("our validators are not foreign schemas, and one schema can declare all args", () => {
  expect(isStandardSchema(v.string())).toBe(false);
  expect(isStandardSchema({ title: v.string() })).toBe(false);
  expect(isStandardSchema(schemas["arktype"])).toBe(true);
  const wrong: object = { title: z.string() };
  expect(() => query({ args: { ...wrong }, handler: () => 1 })).toThrow("one schema for all");
});
