import { expect, test } from "bun:test";
import type { ManifestField } from "@pylonsync/sdk";
import fc from "fast-check";
import { NO_FACTS } from "./data-facts.ts";
import { describeStep } from "./describe-step.ts";
import { newUniqueIndexes, planMigration, retypedFields, tightenedFields } from "./diff.ts";
import { applied, manifestArbitrary, tablesOf } from "./migration.arbitraries.ts";
import { toStored } from "./stored-manifest.ts";

test("a migration creates the target tables from any others, in valid steps", () => {
  fc.assert(
    fc.property(manifestArbitrary, manifestArbitrary, (from, to) => {
      const { migration } = planMigration(from, to);
      expect(applied(tablesOf(from.entities), migration)).toEqual(tablesOf(to.entities));
    }),
    { numRuns: 100 },
  );
});

test("a new database gets the tables without losses; the same schema changes nothing", () => {
  fc.assert(
    fc.property(manifestArbitrary, (to) => {
      const { migration, problems, destructive } = planMigration(null, to);
      expect(applied(new Map(), migration)).toEqual(tablesOf(to.entities));
      expect([problems, destructive]).toEqual([[], false]);
      expect(planMigration(toStored(to), to).migration.steps).toEqual([]);
    }),
  );
});

test("a migration is destructive exactly when a table or column is dropped or retyped", () => {
  fc.assert(
    fc.property(manifestArbitrary, manifestArbitrary, (from, to) => {
      const after = tablesOf(to.entities);
      const goes = [...tablesOf(from.entities)].some(([entity, { columns }]) =>
        [...columns].some(([name, stored]) => after.get(entity)?.columns.get(name) !== stored),
      );
      expect(planMigration(toStored(from), to).destructive).toBe(goes);
    }),
  );
});

test("only retyped, tightened and unique fields can cause problems", () => {
  fc.assert(
    fc.property(manifestArbitrary, manifestArbitrary, (manifest, to) => {
      const from = toStored(manifest);
      const plan = planMigration(from, to);
      const retyped = retypedFields(from, to).map(({ entity, to: field }) => [entity, field.name]);
      const steps = plan.migration.steps.flatMap((step) =>
        step.kind === "retype_column" ? [[step.entity, step.to.name]] : [],
      );
      expect(steps).toEqual(retyped);
      const filled = new Set(
        tightenedFields(from, to).map(({ entity, field }) => `${entity}.${field}`),
      );
      const left = planMigration(from, to, { ...NO_FACTS, filled }).problems;
      // The remaining problems concern only new fields, about which the rows contain no facts.
      const known = new Set(
        from.entities.flatMap(({ name, fields }) => fields.map((field) => `${name}.${field.name}`)),
      );
      expect(left.filter(({ path }) => known.has(path ?? ""))).toEqual([]);
      const made = new Set(
        plan.migration.steps.flatMap((step) =>
          step.kind === "create_index" ? [`${step.entity}.${step.index.name}`] : [],
        ),
      );
      for (const { entity, index, known: fields } of newUniqueIndexes(from, to)) {
        expect(made).toContain(`${entity}.${index.name}`);
        expect(index.fields).toEqual(expect.arrayContaining([...fields]));
      }
    }),
  );
});

test("facts about the rows become problems that name the field", () => {
  const from = manifestWith({ name: "a", type: "string", optional: true, unique: false });
  const to = manifestWith({ name: "a", type: "int", optional: false, unique: true });
  const { problems } = planMigration(from, to, {
    ...NO_FACTS,
    lost: new Map([
      ["A.a", { count: 2, example: { id: "a", reason: "" }, samples: ["x".repeat(100)] }],
    ]),
    duplicates: new Map([["A.a_unique", [{ values: ["1"], rows: 3 }]]]),
  });
  expect(problems.map(({ code, path }) => [code, path])).toEqual([
    ["SCHEMA_FIELD_NEEDS_DEFAULT", "A.a"],
    ["SCHEMA_VALUES_NOT_CONVERTIBLE", "A.a"],
    ["SCHEMA_VALUES_NOT_UNIQUE", "A.a"],
  ]);
  expect(problems.every(({ message }) => message.length < 200)).toBe(true);
});

test("names of entities or fields that differ only in case are rejected", () => {
  const from = manifestWith({ name: "title", type: "string", optional: true, unique: false });
  const field = manifestWith({ name: "Title", type: "string", optional: true, unique: false });
  expect(planMigration(from, field).problems.map(({ code }) => code)).toEqual([
    "SCHEMA_NAME_DIFFERS_IN_CASE",
  ]);
  const entity = { entities: from.entities.map((item) => ({ ...item, name: "a" })) };
  expect(planMigration(from, entity).problems.map(({ code }) => code)).toEqual([
    "SCHEMA_NAME_DIFFERS_IN_CASE",
  ]);
});

test("each step's description names its entity", () => {
  fc.assert(
    fc.property(manifestArbitrary, manifestArbitrary, (from, to) => {
      for (const step of planMigration(from, to).migration.steps) {
        const entity = step.kind === "create_table" ? step.entity.name : step.entity;
        expect(describeStep(step)).toContain(entity);
      }
    }),
  );
});

function manifestWith(field: ManifestField) {
  return { entities: [{ name: "A", fields: [field], indexes: [] }] };
}
