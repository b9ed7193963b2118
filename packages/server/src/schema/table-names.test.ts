import { expect, test } from "bun:test";
import { buildManifest, entity, field, type Manifest } from "@pylonsync/sdk";
import { planMigration } from "./diff.ts";
import { planStart } from "./start-plan.ts";
import type { StoredManifest } from "./stored-manifest.ts";
import { toTables } from "./table-names.ts";
import { validateManifest } from "./validate-manifest.ts";

type Fields = Parameters<typeof entity>[1];

function appWith(name: string, fields: Fields, renamedFrom?: string): Manifest {
  return buildManifest({
    name: "app",
    version: "1.0.0",
    entities: [entity(name, fields, renamedFrom === undefined ? {} : { renamedFrom })],
  });
}

/** The stored manifest of a database that was used by these versions, one after the other. */
function servedBy(...versions: readonly Manifest[]): StoredManifest | null {
  return versions.reduce<StoredManifest | null>(
    (stored, version) => planStart(stored, version).stored,
    null,
  );
}

const first = appWith("Task", { name: field.string().unique() });
const second = appWith("Card", { title: field.string().unique().renamedFrom("name") }, "Task");
const third = appWith("Card", { title: field.string().unique() });

test("a rename has no step, in either direction, and is stored", () => {
  for (const versions of [[first], [first, second], [first, second, first], [first, second, third]])
    for (const app of [second, ...(versions.length === 1 ? [] : [first, third])])
      expect(planMigration(servedBy(...versions), app)).toMatchObject({
        migration: { steps: [] },
        problems: [],
        notices: [],
      });
  const names = { Card: { table: "Task", columns: { title: "name" } } };
  expect(toTables(servedBy(first, second, first), third).names).toMatchObject(names);
  expect(servedBy(first, second, first)?.table_names).toEqual(names);
});

test("names that differ only in case, and chains of names, are resolved to the column", () => {
  const other = appWith("task", { Name: field.string().unique().renamedFrom("name") }, "Task");
  expect(planMigration(servedBy(first), other)).toMatchObject({
    problems: [],
    migration: { steps: [] },
  });
  const fourth = appWith("Card", { heading: field.string().unique().renamedFrom("title") });
  expect(toTables(servedBy(first, second), fourth).names["Card"]?.columns).toEqual({
    heading: "name",
  });
});

test("ambiguous names are rejected, and values that are not adopted are reported", () => {
  const reused = appWith("Card", { title: field.string(), name: field.string().optional() });
  expect(planMigration(servedBy(first, second), reused).problems).toMatchObject([
    { code: "SCHEMA_NAME_TAKEN", path: "Card.name" },
  ]);
  const both = appWith("Task", { name: field.string(), title: field.string().optional() });
  expect(
    planMigration(servedBy(both), appWith("Task", { title: field.string().renamedFrom("name") }))
      .notices,
  ).toMatchObject([{ code: "SCHEMA_RENAME_SKIPPED", path: "Task.title" }]);
});

test.each([
  [{ a: field.string().renamedFrom("b"), b: field.string() }, '"b", which still exists'],
  [{ a: field.string().renamedFrom("a") }, "its own name"],
  [{ a: field.string().renamedFrom("id") }, "is not a valid name"],
  [
    { a: field.string().renamedFrom("x"), b: field.string().renamedFrom("x") },
    "which Task.a is as well",
  ],
])("an invalid or ambiguous old name is rejected", (fields: Fields, text) => {
  expect(validateManifest(appWith("Task", fields)).diagnostics).toMatchObject([
    { code: "RENAME_INVALID", message: expect.stringContaining(text) },
  ]);
});
