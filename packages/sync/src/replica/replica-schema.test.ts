import { expect, test } from "bun:test";
import { isFieldKind, normaliseValue } from "@pylonsync/query";
import fc from "fast-check";
import { ReplicaSchema } from "./replica-schema.ts";
import { NO_SCHEMA } from "./schema.ts";

const kinds = fc.constantFrom("string", "int", "float", "bool", "datetime", "id", "vector", "");
const messages = fc.dictionary(
  fc.constantFrom("Todo", "User"),
  fc.dictionary(fc.constantFrom("a", "b", "c"), kinds, { noNullPrototype: true }),
  { noNullPrototype: true },
);
const values = fc.oneof(
  fc.constantFrom<unknown>("2026-01-05", "2026-01-05T01:00:00+01:00", "soon", null, 1, true),
  fc.date(),
);

test("a shape has the kinds that this client knows, and the id", () => {
  fc.assert(
    fc.property(messages, (message) => {
      const schema = ReplicaSchema.of(message);
      for (const entity of ["Todo", "User", "Other"]) {
        const fields = message[entity];
        const expected =
          fields === undefined
            ? undefined
            : [["id", "id"], ...Object.entries(fields).filter(([, kind]) => isFieldKind(kind))];
        const shape = schema.shape(entity);
        expect(shape === undefined ? undefined : [...shape.fields]).toEqual(
          expected as [string, "id"][] | undefined,
        );
      }
    }),
  );
});

test("an array has the kind of its items, if this client knows it", () => {
  const schema = ReplicaSchema.of({
    Todo: {
      tags: "array",
      "tags[]": "string",
      shapes: "array",
      "shapes[]": "polygon",
      old: "array",
      title: "string",
    },
  });
  const shape = schema.shape("Todo");
  const kindOf = (name: string): unknown => [shape?.fields.get(name), shape?.items?.get(name)];
  expect(["tags", "shapes", "old", "title"].map(kindOf)).toEqual([
    ["array", "string"],
    ["array", undefined],
    ["array", undefined],
    ["string", undefined],
  ]);
});

test("dates of a write are normalized as on the server, and all else stays", () => {
  const data = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), values, {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(messages, data, (message, given) => {
      const before = { ...given };
      const result = ReplicaSchema.of(message).normalised("Todo", given, null);
      expect(given).toEqual(before);
      expect(Object.keys(result)).toEqual(Object.keys(given));
      for (const [name, value] of Object.entries(given)) {
        const isDate = value instanceof Date || message["Todo"]?.[name] === "datetime";
        const normal = normaliseValue("datetime", value);
        expect(result[name]).toEqual(isDate && normal.ok ? normal.value : value);
      }
      expect(ReplicaSchema.of(message).normalised("Todo", result, null)).toBe(result);
    }),
  );
});

test("two schemas are equal exactly if their messages are", () => {
  fc.assert(
    fc.property(messages, messages, (one, other) => {
      const copy = ReplicaSchema.of(structuredClone(one));
      expect(ReplicaSchema.of(one).equals(copy)).toBe(true);
      expect(ReplicaSchema.of(one).equals(ReplicaSchema.of(other))).toBe(
        JSON.stringify(one) === JSON.stringify(other),
      );
    }),
  );
  expect(ReplicaSchema.of(undefined)).toBe(NO_SCHEMA);
});
