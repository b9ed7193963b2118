import type { Manifest, ManifestEntity, ManifestField, ManifestIndex } from "@pylonsync/sdk";
import fc from "fast-check";
import { indexesOf } from "./diff.ts";
import type { Migration } from "./migration.ts";
import { kindOf } from "./field-kind.ts";

const fieldArbitrary: fc.Arbitrary<Omit<ManifestField, "name">> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constantFrom("string" as const, "richtext" as const, "id(A)" as const),
      optional: fc.constant(true),
      unique: fc.boolean(),
    }),
  },
  fc.record({
    type: fc.constantFrom("int" as const, "bool" as const, "datetime" as const, "file" as const),
    optional: fc.boolean(),
    unique: fc.boolean(),
  }),
  fc.record({
    type: fc.constant("datetime" as const),
    optional: fc.boolean(),
    unique: fc.boolean(),
    default: fc.constantFrom("now", "2026-01-05", "2026-01-05T00:00:00.000Z"),
  }),
  fc.record({
    type: fc.constant("id(A)" as const),
    optional: fc.constant(true),
    unique: fc.boolean(),
    on_delete: fc.constantFrom("restrict" as const, "cascade" as const, "setNull" as const),
  }),
  fc.record({
    type: fc.constant("string" as const),
    optional: fc.boolean(),
    unique: fc.boolean(),
    default: fc.constantFrom("uuid", "x"),
  }),
  fc.record(
    {
      type: fc.constant("string" as const),
      optional: fc.constant(true),
      unique: fc.boolean(),
      hidden: fc.boolean(),
      format: fc.constantFrom("url" as const, "email" as const, "date" as const, "bytes" as const),
      min: fc.constantFrom(0, 1),
      max: fc.constantFrom(1, 20),
      pattern: fc.constantFrom("^a", "a|b"),
      pattern_flags: fc.constantFrom("i" as const, "iu" as const),
    },
    { requiredKeys: ["type", "optional", "unique"] },
  ),
);

function entityArbitrary(name: string): fc.Arbitrary<ManifestEntity> {
  return fc
    .dictionary(fc.constantFrom("a", "b", "c"), fieldArbitrary, {
      minKeys: 1,
      noNullPrototype: true,
    })
    .chain((fields) => {
      const names = Object.keys(fields);
      const index = fc.record({
        fields: fc.subarray(names, { minLength: 1 }),
        unique: fc.boolean(),
      });
      return fc
        .dictionary(fc.constantFrom("i", "j", "a_unique"), index, { noNullPrototype: true })
        .map((indexes) => ({
          name,
          fields: Object.entries(fields).map(([field, rest]) => ({ name: field, ...rest })),
          indexes: Object.entries(indexes)
            .filter(([indexName]) => indexName !== "a_unique" || fields["a"]?.unique !== true)
            .map(([indexName, rest]): ManifestIndex => ({ name: indexName, ...rest })),
        }));
    });
}

/** Valid manifests with few names, so that two of them often share entities, fields and indexes. */
export const manifestArbitrary: fc.Arbitrary<Manifest> = fc
  .tuple(fc.option(entityArbitrary("A")), fc.option(entityArbitrary("B")))
  .map((entities) => ({
    manifest_version: 1,
    name: "test",
    version: "0.0.0",
    entities: entities.filter((entity) => entity !== null),
    routes: [],
    queries: [],
    policies: [],
    actions: [],
  }));

interface Table {
  /** The storage type of each column. */
  readonly columns: Map<string, string>;
  readonly indexes: Map<string, string>;
}

/** A model of a database: its tables by name. */
export type Tables = Map<string, Table>;

/** The tables of a database that was created for these entities. */
export function tablesOf(entities: readonly ManifestEntity[]): Tables {
  return new Map(
    entities.map((entity) => [
      entity.name,
      {
        columns: new Map(entity.fields.map((field) => [field.name, storedAs(field)])),
        indexes: new Map(indexesOf(entity).map((index) => [index.name, textOf(index)])),
      },
    ]),
  );
}

/** The tables after the migration; throws for a step that a database would reject. */
export function applied(before: Tables, { steps }: Migration): Tables {
  const tables: Tables = new Map(
    [...before].map(([name, { columns, indexes }]) => [
      name,
      { columns: new Map(columns), indexes: new Map(indexes) },
    ]),
  );
  for (const step of steps) {
    if (step.kind === "create_table") {
      refuseIf(tables.has(step.entity.name), "the table exists");
      const [[, { columns }] = fail("no table")] = tablesOf([step.entity]);
      tables.set(step.entity.name, { columns, indexes: new Map() });
      continue;
    }
    const { columns, indexes } = tables.get(step.entity) ?? fail(`no table ${step.entity}`);
    const refuseIndexed = (field: string): void =>
      refuseIf(
        [...indexes.values()].some((text) => fieldsOf(text).includes(field)),
        `${field} is in an index`,
      );
    switch (step.kind) {
      case "add_column":
        refuseIf(columns.has(step.field.name), "the column exists");
        columns.set(step.field.name, storedAs(step.field));
        break;
      case "backfill":
        refuseIf(!columns.has(step.field.name), "no such column");
        break;
      case "repair_dates":
        refuseIf(columns.get(step.field.name) !== "datetime", "not a column of dates");
        break;
      case "create_index":
        refuseIf(indexes.has(step.index.name), `the index ${step.index.name} exists`);
        refuseIf(!step.index.fields.every((field) => columns.has(field)), "no such column");
        indexes.set(step.index.name, textOf(step.index));
        break;
      case "drop_index":
        refuseIf(!indexes.delete(step.index), `no index ${step.index}`);
        break;
      case "drop_table":
        tables.delete(step.entity);
        break;
      case "drop_column":
        refuseIndexed(step.field);
        refuseIf(!columns.delete(step.field), `no column ${step.field}`);
        break;
      case "convert_column":
      case "retype_column":
        refuseIndexed(step.to.name);
        refuseIf(columns.get(step.from.name) !== storedAs(step.from), "another type");
        columns.set(step.to.name, storedAs(step.to));
    }
  }
  return tables;
}

function storedAs({ type }: ManifestField): string {
  const kind = kindOf(type);
  return kind === "string" || kind === "richtext" || kind === "id" ? "text" : kind;
}

function textOf({ fields, unique }: ManifestIndex): string {
  return `${unique ? "unique" : "plain"}:${fields.join()}`;
}

function fieldsOf(text: string): readonly string[] {
  return (text.split(":")[1] ?? "").split(",");
}

function refuseIf(condition: boolean, why: string): void {
  if (condition) fail(why);
}

function fail(why: string): never {
  throw new Error(`A database would refuse the step: ${why}.`);
}
