import type { Manifest, ManifestEntity, ManifestField, ManifestIndex } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import type { Migration, MigrationStep } from "./migration.ts";
import { kindOf } from "./schema.ts";
import { withLeftovers, type StoredManifest } from "./stored-manifest.ts";

export interface MigrationPlan {
  readonly migration: Migration;
  /** What keeps the migration from being applied at all. */
  readonly problems: readonly Diagnostic[];
  /** A step loses data. */
  readonly destructive: boolean;
}

/**
 * What has to be done to bring a database from one schema to another, what is left over in it
 * included.
 *
 * @param from null for a new database
 * @param filled as `Entity.field`: fields that have a value in every row, and so may become
 *   required
 */
export function planMigration(
  from: Pick<StoredManifest, "entities" | "leftovers"> | null,
  to: Pick<Manifest, "entities">,
  filled: ReadonlySet<string> = new Set(),
): MigrationPlan {
  const problems: Diagnostic[] = [];
  const before = new Map(
    (from === null ? [] : withLeftovers(from)).map((entity) => [entity.name, entity]),
  );
  const after = new Map(to.entities.map((entity) => [entity.name, entity]));
  const steps: MigrationStep[] = [];
  for (const entity of to.entities) {
    const known = before.get(entity.name);
    if (known === undefined)
      steps.push(
        { kind: "create_table", entity: { ...entity, fields: entity.fields.map(toColumn) } },
        ...indexesOf(entity).map((index) => createIndex(entity, index)),
      );
    else steps.push(...changeEntity(known, entity, filled, problems));
  }
  for (const name of before.keys()) {
    if (!after.has(name)) steps.push({ kind: "drop_table", entity: name, destructive: true });
  }
  return {
    migration: { steps },
    problems,
    destructive: steps.some((step) => "destructive" in step),
  };
}

/** A step in words: `add Todo.due (datetime)`. */
export function describeStep(step: MigrationStep): string {
  switch (step.kind) {
    case "create_table":
      return `create ${step.entity.name} (${step.entity.fields.map(({ name, type }) => `${name} ${type}`).join(", ")})`;
    case "add_column":
      return `add ${step.entity}.${step.field.name} (${step.field.type})`;
    case "create_index":
      return `create ${step.index.unique ? "unique " : ""}index ${step.index.name} on ${step.entity} (${step.index.fields.join(", ")})`;
    case "drop_index":
      return `drop index ${step.index} of ${step.entity}`;
    case "drop_table":
      return `drop ${step.entity} with all its rows`;
    case "drop_column":
      return `drop ${step.entity}.${step.field} with all its values`;
    case "retype_column":
      return `change ${step.entity}.${step.to.name} from ${step.from.type} to ${step.to.type}`;
  }
}

/** The fields that are optional now and are to be required without a default. */
export function tightenedFields(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): { readonly entity: string; readonly field: string }[] {
  const before = new Map(
    withLeftovers(from).map((entity) => [
      entity.name,
      new Map(entity.fields.map((field) => [field.name, field])),
    ]),
  );
  return to.entities.flatMap((entity) =>
    entity.fields
      .filter(
        (field) => needsValue(field) && before.get(entity.name)?.get(field.name)?.optional === true,
      )
      .map(({ name }) => ({ entity: entity.name, field: name })),
  );
}

function changeEntity(
  before: ManifestEntity,
  after: ManifestEntity,
  filled: ReadonlySet<string>,
  problems: Diagnostic[],
): MigrationStep[] {
  const known = new Map(before.fields.map((field) => [field.name, field]));
  const kept = new Set(after.fields.map(({ name }) => name));
  const columns: MigrationStep[] = [];
  for (const field of after.fields) {
    const old = known.get(field.name);
    if (old === undefined) {
      if (needsValue(field))
        problems.push(
          needsDefault(
            after,
            field,
            "is new and required, so the rows that are there would have no value",
          ),
        );
      columns.push({ kind: "add_column", entity: after.name, field: toColumn(field) });
      continue;
    }
    if (old.optional && needsValue(field) && !filled.has(`${after.name}.${field.name}`))
      problems.push(
        needsDefault(after, field, "becomes required, and there are rows without a value"),
      );
    if (!isStoredAlike(old, field))
      columns.push({
        kind: "retype_column",
        entity: after.name,
        from: toColumn(old),
        to: toColumn(field),
        destructive: true,
      });
  }
  const dropped = before.fields.filter(({ name }) => !kept.has(name));
  const retyped = new Set(
    columns.flatMap((step) => (step.kind === "retype_column" ? [step.to.name] : [])),
  );
  return [
    ...missingFrom(indexesOf(after), indexesOf(before), retyped).map((index): MigrationStep => ({
      kind: "drop_index",
      entity: after.name,
      index: index.name,
    })),
    ...columns,
    ...dropped.map((field): MigrationStep => ({
      kind: "drop_column",
      entity: after.name,
      field: field.name,
      destructive: true,
    })),
    ...missingFrom(indexesOf(before), indexesOf(after), retyped).map((index) =>
      createIndex(after, index),
    ),
  ];
}

/** A database knows no files: it stores their ids. */
function toColumn(field: ManifestField): ManifestField {
  return field.type === "file" ? { ...field, type: "id(file)" } : field;
}

function needsValue(field: ManifestField): boolean {
  return !field.optional && field.default === undefined;
}

function needsDefault(entity: ManifestEntity, field: ManifestField, why: string): Diagnostic {
  return errorAt(
    "SCHEMA_FIELD_NEEDS_DEFAULT",
    `${entity.name}.${field.name} ${why}.`,
    `${entity.name}.${field.name}`,
    "Make it .optional(), or give it a .default(value).",
  );
}

/** Whether the values can stay as they are: string, richtext and id are all text. */
function isStoredAlike(from: ManifestField, to: ManifestField): boolean {
  const a = kindOf(from.type);
  const b = kindOf(to.type);
  const text = ["string", "richtext", "id"];
  return a === b || (text.includes(a) && text.includes(b));
}

/**
 * The indexes among `indexes` that `others` does not have, and those of a retyped column, which is
 * made anew.
 */
function missingFrom(
  others: readonly ManifestIndex[],
  indexes: readonly ManifestIndex[],
  retyped: ReadonlySet<string>,
): ManifestIndex[] {
  return indexes.filter(
    (index) =>
      index.fields.some((name) => retyped.has(name)) ||
      !others.some((candidate) => isSameIndex(candidate, index)),
  );
}

function createIndex(entity: ManifestEntity, index: ManifestIndex): MigrationStep {
  return { kind: "create_index", entity: entity.name, index };
}

function isSameIndex(a: ManifestIndex, b: ManifestIndex): boolean {
  return a.name === b.name && a.unique === b.unique && a.fields.join() === b.fields.join();
}

/** The declared indexes, and one for each unique field. */
export function indexesOf(entity: ManifestEntity): ManifestIndex[] {
  const unique = entity.fields
    .filter((field) => field.unique)
    .map((field) => ({ name: `${field.name}_unique`, fields: [field.name], unique: true }));
  return [...entity.indexes, ...unique];
}
