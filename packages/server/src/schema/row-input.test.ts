import { expect, test } from "bun:test";
import { PylonError } from "@pylonsync/protocol";
import type { ManifestField } from "@pylonsync/sdk";
import fc from "fast-check";
import { checkedId, checkInsert, checkPatch, refuseManaged, withoutId } from "./row-input.ts";
import { readValueOf } from "./field-value.ts";
import { ANONYMOUS } from "../identity/identity.ts";
import { Schema, type Entity } from "./schema.ts";

const NOW = Date.parse("2026-01-05T12:00:00Z");

type Declared = Omit<ManifestField, "name">;

const declared = fc.record({
  type: fc.constantFrom("string" as const, "int" as const, "bool" as const, "datetime" as const),
  optional: fc.boolean(),
  unique: fc.boolean(),
  readonly: fc.boolean(),
});
const withDefault = fc.oneof(
  fc.record({ type: fc.constant("int" as const), default: fc.constant(7) }),
  fc.record({
    type: fc.constant("datetime" as const),
    default: fc.constantFrom("now", "2026-01-05"),
  }),
);
const owner = fc.record({ type: fc.constant("string" as const), owner: fc.constant(true) });
const fields = fc.dictionary(
  fc.constantFrom("a", "b", "c"),
  fc
    .oneof(declared, withDefault, owner)
    .map((rest): Declared => ({ optional: false, unique: false, ...rest })),
  { noNullPrototype: true },
);
const values = fc.constantFrom<unknown>(
  "text",
  "",
  1,
  1.5,
  true,
  null,
  undefined,
  "2026-01-05",
  "x".repeat(3_000),
  [],
  {},
  Number.NaN,
  "\0",
);
const inputs = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "__proto__"), values);

function entityOf(all: Record<string, Declared>): Entity {
  const manifest = {
    entities: [
      {
        name: "Item",
        fields: Object.entries(all).map(([name, rest]): ManifestField => ({ name, ...rest })),
        indexes: [],
      },
    ],
  };
  return Schema.fromManifest(manifest).entity("Item");
}

type Outcome =
  | { readonly row: object }
  | { readonly code: string; readonly field: string | undefined };

function outcome(work: () => object): Outcome {
  try {
    return { row: work() };
  } catch (error) {
    if (error instanceof PylonError) return { code: error.code, field: error.field };
    throw error;
  }
}

function own<T>(all: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(all, name) ? all[name] : undefined;
}

/** Whether a value can be stored in the field. */
function isStorable(field: ManifestField, value: unknown): boolean {
  if (value === null) return field.optional || field.owner === true;
  const normal = readValueOf(field)(value);
  return normal.ok && (!field.unique || String(normal.value).length <= 2_600);
}

test("an insert has every declared field, or is rejected for an invalid field", () => {
  fc.assert(
    fc.property(fields, inputs, (all, data) => {
      const result = outcome(() =>
        checkInsert(entityOf(all), data, { now: NOW, uuid: () => "uuid-1", caller: ANONYMOUS }),
      );
      const wrong = (name: string): boolean => {
        const field = own(all, name);
        if (field === undefined) return Object.hasOwn(data, name);
        const value = Object.hasOwn(data, name) ? data[name] : undefined;
        if (value !== undefined) return !isStorable({ name, ...field }, value);
        return field.default === undefined && !field.optional && field.owner !== true;
      };
      const atFault = [...new Set([...Object.keys(all), ...Object.keys(data)])].filter(wrong);
      if ("code" in result) {
        expect(atFault).toContain(result.field ?? "");
        return;
      }
      expect(atFault).toEqual([]);
      expect(Object.keys(result.row).toSorted()).toEqual(Object.keys(all).toSorted());
      for (const [name, value] of Object.entries(result.row)) {
        const field = own(all, name);
        if (field === undefined || value === null) continue;
        // Stored values are in their normal form.
        expect(readValueOf(field)(value)).toEqual({ ok: true, value });
        if (data[name] === undefined && field.default === "now")
          expect(value).toBe(new Date(NOW).toISOString());
      }
    }),
    { numRuns: 300 },
  );
});

test("a patch has the given fields, or is rejected; admins may change fixed ones", () => {
  fc.assert(
    fc.property(fields, inputs, fc.boolean(), (all, data, admin) => {
      const result = outcome(() => checkPatch(entityOf(all), data, { admin, stamps: false }));
      const named = Object.keys(data);
      const atFault = named.filter((name) => {
        const field = own(all, name);
        if (field === undefined) return true;
        if (data[name] === undefined) return false;
        const isFixed = field.owner === true || field.readonly === true;
        return (isFixed && !admin) || !isStorable({ name, ...field }, data[name]);
      });
      if ("code" in result) {
        expect(atFault).toContain(result.field ?? "");
        return;
      }
      expect(atFault).toEqual([]);
      expect(Object.keys(result.row)).toEqual(named.filter((name) => data[name] !== undefined));
    }),
    { numRuns: 300 },
  );
});

test("fields of a user that sign-up manages are rejected in an insert and in a patch", () => {
  const text = { type: "string", optional: true, unique: false } as const;
  const fieldsOfUser = [
    { name: "email", ...text },
    { name: "name", ...text },
  ];
  const entity = Schema.fromManifest({
    entities: [{ name: "User", fields: fieldsOfUser, indexes: [] }],
  }).entity("User");
  for (const refuse of [
    () => refuseManaged(entity, { email: "a@b.test" }),
    () => checkPatch(entity, { email: "a@b.test" }, { admin: false, stamps: false }),
  ])
    expect(refuse).toThrow("Only sign-up");
  expect(checkPatch(entity, { email: "a@b.test" }, { admin: true, stamps: false })).toEqual({
    email: "a@b.test",
  });
  expect(() => refuseManaged(entity, { email: null, name: "a" })).not.toThrow();
});

test("an id has 1 to 64 letters, digits, _ and -, or is omitted", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.jsonValue(), fc.stringMatching(/^[\w-]{1,70}$/)), (id) => {
      const isId = typeof id === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(id);
      const result = outcome(() => ({ id: checkedId(id) }));
      expect(result).toEqual(isId ? { row: { id } } : { code: "INVALID_ID", field: "id" });
    }),
  );
  expect(checkedId(undefined)).toBeUndefined();
});

test("a row may be sent back with its own id, but with no other", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("a", "b"), fc.nat(), { noNullPrototype: true }),
      (row) => {
        expect(withoutId({ ...row, id: "1" }, "1")).toEqual(row);
        expect(withoutId({ ...row, id: undefined }, "1")).toEqual(row);
        expect(withoutId(row, "1")).toBe(row);
        expect(outcome(() => ({ row: withoutId({ ...row, id: "2" }, "1") }))).toEqual({
          code: "READONLY_FIELD",
          field: "id",
        });
      },
    ),
  );
});
