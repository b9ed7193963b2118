import { expect, test } from "bun:test";
import fc from "fast-check";
import { entity } from "./entity.ts";
import { field, type Field } from "./field.ts";
import { checkFunctions, checkList, isWrittenName, shown, suggestion } from "./mistake.ts";

/** As an app in JavaScript would write it, without a compiler. */
function thrownBy(declare: () => unknown): string {
  try {
    declare();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
}

test("an unknown kind or modifier is named with entity, field and a suggestion", () => {
  const fields: Record<string, () => never> = Object(field);
  const modified: Record<string, () => never> = Object(field.string());
  expect(thrownBy(() => entity("Todo", { title: fields["strng"]?.() ?? field.int() }))).toBe(
    'Todo.title: there is no field.strng(). Did you mean "string"?',
  );
  expect(thrownBy(() => entity("Todo", { title: modified["uniqe"]?.() ?? field.int() }))).toBe(
    'Todo.title: a field has no .uniqe(). Did you mean "unique"?',
  );
});

test("an error survives the modifiers that follow it", () => {
  const { id }: { id: (target: unknown) => Field } = Object(field);
  const wrong = id({ name: "User" }).optional().unique();
  expect(thrownBy(() => entity("Todo", { ownerId: wrong }))).toBe(
    'Todo.ownerId: field.id takes the name of an entity, not an object: write field.id("User").',
  );
});

test("options of a field that has none, and unknown options of a file, are rejected", () => {
  const { string, file }: Record<"string" | "file", (options: object) => Field> = Object(field);
  expect(thrownBy(() => entity("Todo", { title: string({ optional: true }) }))).toContain(
    "Todo.title: a field of this type takes no options",
  );
  expect(thrownBy(() => entity("Todo", { photo: file({ acept: ["image/*"] }) }))).toBe(
    'Todo.photo: field.file has no option "acept". Did you mean "accept"?',
  );
});

test("a rule that does not apply to its field is rejected with the field's name", () => {
  const made: Record<string, (...args: unknown[]) => Field> = Object(field);
  const call = (target: unknown, name: string, ...args: unknown[]): Field =>
    (Reflect.get(Object(target), name) as (...all: unknown[]) => Field).apply(target, args);
  const cases: readonly (readonly [() => Field | undefined, string])[] = [
    [() => made["enum"]?.("a"), "field.enum takes a list of strings"],
    [() => made["enum"]?.([]), "field.enum takes a list of strings"],
    [() => made["enum"]?.([1]), "field.enum takes a list of strings"],
    [
      () => call(field.bool(), "min", 1),
      ".min() is for strings, numbers and arrays, and this is a bool",
    ],
    [() => call(field.int(), "computed", 1), ".computed() takes a function, not 1"],
    [
      () => call(field.int(), "computed", () => 1, { versoin: 1 }),
      '.computed() has no option "versoin". Did you mean "version"?',
    ],
    [
      () => call(field.int(), "computed", () => 1, { version: "1" }),
      'version of .computed() is "1", and must be a whole number.',
    ],
    [
      () =>
        field
          .int()
          .computed(() => 1)
          .backfill(() => 1),
      "a computed field needs no .backfill()",
    ],
    [() => call(field.string(), "max", "9"), '.max() takes a number, not "9"'],
    [() => field.encrypted().backfill(() => "x"), "an encrypted field can't have .backfill()"],
    [() => call(field.int(), "length", 3), ".length() is for strings, and this is an int"],
    [() => call(field.string(), "pattern", "a"), ".pattern() takes a regular expression"],
    [() => call(field.string(), "pattern", /a/g), '.pattern() supports the flags i and u, not "g"'],
    [() => made["bytes"]?.({ max: 1 }), 'field.bytes has no option "max"'],
    [() => made["json"]?.("x"), "field.json takes a validator"],
    [() => made["array"]?.("string"), 'field.array takes a field, not "string"'],
    [() => made["array"]?.(field.id("User")), "the items of an array are string, int, float"],
    [() => made["array"]?.(field.int().optional()), "the items of an array support limits"],
    [() => made["array"]?.(made["enum"]?.([])), "field.enum takes a list of strings"],
    [() => made["id"]?.("User", "cascade"), 'field.id takes { onDelete }, not "cascade"'],
    [() => made["id"]?.("User", { ondelete: "x" }), 'field.id has no option "ondelete"'],
    [() => made["id"]?.("User", { onDelete: "null" }), 'onDelete is "null", and must be one of'],
    [() => made["url"]?.({ schemes: [] }), "a field of this type takes no options"],
  ];
  for (const [make, message] of cases)
    expect(thrownBy(() => entity("Todo", { x: make() ?? field.int() }))).toContain(
      `Todo.x: ${message}`,
    );
});

test("properties that runtimes read of any object are not errors of the app", () => {
  const known: Readonly<Record<string, unknown>> = Object(field.string());
  for (const name of ["then", "toJSON", "asymmetricMatch", "nodeType"])
    expect([name, isWrittenName(name), known[name]]).toEqual([name, false, undefined]);
  expect(isWrittenName("optional")).toBe(true);
  expect(isWrittenName(Symbol.iterator)).toBe(false);
});

test("any value is shown in one short line", () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      const text = shown(value);
      // A symbol may contain any text.
      expect(typeof value === "symbol" || text.length <= 250).toBe(true);
      expect(typeof value === "string" && text.includes("\n")).toBe(false);
    }),
  );
  expect([shown("a"), shown(null), shown([]), shown({}), shown(shown), shown(1)]).toEqual([
    '"a"',
    "null",
    "a list",
    "an object",
    "a function",
    "1",
  ]);
});

test("a suggestion is a similar name, or all names", () => {
  expect(suggestion("titel", ["title", "done"])).toBe('Did you mean "title"?');
  expect(suggestion("qqqqqq", ["title", "done"])).toBe("Known: title, done.");
});

test("lists and objects of functions are checked by name", () => {
  expect(() => checkList(undefined, "entities", "[]")).not.toThrow();
  expect(() => checkList({}, "entities", "entities: [Todo]")).toThrow(
    "entities is an object, and must be a list: entities: [Todo].",
  );
  expect(() => checkFunctions({ claims: () => ({}) }, "hooks", ["claims"])).not.toThrow();
  expect(() => checkFunctions({ claim: () => ({}) }, "hooks", ["claims"])).toThrow(
    'hooks has the unknown key "claim". Did you mean "claims"?',
  );
  expect(() => checkFunctions({ claims: 1 }, "hooks", ["claims"])).toThrow(
    "hooks.claims is 1, and must be a function.",
  );
});
