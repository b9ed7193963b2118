import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { StoredRow } from "./row.ts";
import { kindOf, targetOf } from "./field-kind.ts";
import { maxTextBytes, Schema } from "./schema.ts";

const USER = entity(
  "User",
  {
    email: field.string(),
    passwordHash: field.string().optional(),
    name: field.string(),
    _note: field.string().optional(),
    phone: field.string().optional(),
  },
  { indexes: [{ name: "by_name", fields: ["name", "phone"], unique: false }] },
);
const POST = entity("Post", {
  title: field.string().unique(),
  passwordHash: field.string().optional(),
  authorId: field.id("User"),
  image: field.file({ accept: ["image/*"], maxBytes: 100 }).optional(),
  madeAt: field.datetime().default("now"),
});
const manifest: Manifest = buildManifest({
  name: "schema",
  version: "1.0.0",
  entities: [USER, POST],
  auth: { user: { hide: ["phone"] } },
});
const schema = Schema.fromManifest(manifest);

const values = fc.oneof(fc.string(), fc.integer(), fc.constant(null));
const rows: fc.Arbitrary<StoredRow> = fc
  .record(
    {
      email: values,
      passwordHash: values,
      name: values,
      _note: values,
      phone: values,
      ofAnotherVersion: values,
      ["__proto__"]: values,
    },
    { requiredKeys: [] },
  )
  .map((fields) => ({ ...fields, id: "row" }));

test("callers see the fields that are not hidden; the log stores all but the password", () => {
  const found = schema.entity("User");
  fc.assert(
    fc.property(rows, (row) => {
      const copy = { ...row };
      const pick = (names: readonly string[]): unknown =>
        Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name)));
      expect<unknown>(found.visible(row)).toEqual(pick(["id", "email", "name"]));
      expect<unknown>(found.logged(row)).toEqual(
        pick(Object.keys(row).filter((name) => name !== "passwordHash")),
      );
      // Applying it twice gives the same result, and the row itself is not changed.
      expect(found.visible(found.visible(row))).toEqual(found.visible(row));
      expect(row).toEqual(copy);
    }),
  );
  const row = { id: "row", email: "a@b.example", name: "Ann" };
  expect(found.visible(row)).toBe(row);
});

test("only a user entity hides fields, and sign-up manages only its fields", () => {
  const [users, posts] = [schema.entity("User"), schema.entity("Post")];
  const named = (of: typeof users, is: "hidden" | "managed"): string[] =>
    [...of.fields.values()].filter((made) => made[is]).map(({ name }) => name);
  expect(named(users, "hidden")).toEqual(["passwordHash", "_note", "phone"]);
  expect(named(users, "managed")).toEqual(["email", "passwordHash"]);
  expect(named(posts, "hidden")).toEqual([]);
  expect(named(posts, "managed")).toEqual([]);
  expect(posts.publicShape).toBe(posts.shape);
  expect([...users.publicShape.fields.keys()]).toEqual(["id", "email", "name"]);
});

test("a renamed user entity is still one, with the fields that sign-in hides and manages", () => {
  const renamed = Schema.fromManifest(
    buildManifest({
      name: "renamed",
      version: "1.0.0",
      entities: [
        entity(
          "Person",
          {
            email: field.string(),
            _note: field.string(),
            mobile: field.string().renamedFrom("phone"),
          },
          { renamedFrom: "User" },
        ),
      ],
      auth: { user: { hide: ["phone"] } },
    }),
  );
  const users = renamed.entity("User");
  expect(users.name).toBe("Person");
  expect(users.fields.get("email")?.managed).toBe(true);
  expect([...users.publicShape.fields.keys()]).toEqual(["id", "email"]);
  const row = { id: "u", email: "a@b.example", _note: "n", mobile: "1", phone: "1" };
  expect(users.visible(row)).toEqual({ id: "u", email: "a@b.example" });
});

test("fields have their kinds, targets, files, and the meaning of a default", () => {
  const { fields, fileFields } = schema.entity("Post");
  expect(fields.get("authorId")).toMatchObject({ kind: "id", target: "User" });
  expect(fields.get("madeAt")).toMatchObject({ default: undefined, defaultsToNow: true });
  expect(fileFields.map(({ name, file }) => [name, file])).toEqual([
    ["image", { accept: ["image/*"], maxBytes: 100 }],
  ]);
  for (const type of ["string", "richtext", "int", "float", "bool", "datetime"] as const) {
    expect(kindOf(type)).toBe(type);
    expect(targetOf(type)).toBeUndefined();
  }
  expect([kindOf("file"), kindOf("id(User)"), targetOf("id(User)")]).toEqual(["id", "id", "User"]);
});

test("the texts of an index share its entry: the more fields, the shorter each may be", () => {
  const [users, posts] = manifest.entities;
  if (users === undefined || posts === undefined) throw new Error("The manifest has both.");
  const of = (made: typeof users, name: string): number => {
    const found = made.fields.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`There is no ${name}.`);
    return maxTextBytes(made, found);
  };
  expect(of(users, "email")).toBe(Infinity);
  expect(of(posts, "title")).toBe(2 * of(users, "name"));
  expect(of(users, "phone")).toBe(of(users, "name"));
});

test("an entity that does not exist is rejected, with a suggestion", () => {
  expect(schema.find("Nothing")).toBeUndefined();
  expect(() => schema.entity("Nothing")).toThrow('The entity "Nothing" does not exist.');
  try {
    schema.entity("Psot");
  } catch (error) {
    expect(error).toMatchObject({ code: "ENTITY_NOT_FOUND", hint: 'Did you mean "Post"?' });
  }
  for (const name of ["toString", "__proto__", "constructor"])
    expect(() => schema.entity(name)).toThrow("does not exist");
});
