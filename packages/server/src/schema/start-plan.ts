import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import { NO_FACTS, type DataFacts } from "./data-facts.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import {
  describeStep,
  indexesOf,
  planMigration,
  referenceIndexName,
  uniqueIndexName,
} from "./diff.ts";
import type { Migration, MigrationStep } from "./migration.ts";
import { searchIndexesOf } from "./search-index.ts";
import { storedNames, toTables, type AppNames } from "./table-names.ts";
import {
  toStored,
  withLeftovers,
  type StoredField,
  type StoredManifest,
} from "./stored-manifest.ts";

/** How a server that starts brings the database to its app. */
export interface StartPlan {
  readonly migration: Migration;
  /** What keeps the app from being served on this database. */
  readonly problems: readonly Diagnostic[];
  /** As of a migration's plan. */
  readonly notices: readonly Diagnostic[];
  /** Steps that wait for `pylon migrate apply --allow-destructive`: the app does without them. */
  readonly waiting: readonly MigrationStep[];
  readonly stored: StoredManifest;
  /** What the app calls otherwise than the database. */
  readonly names: AppNames;
}

/**
 * What a start does to the database: what the app adds, and nothing that loses data. Entities and
 * fields that the app does not know stay where they are, so that an older version can be served
 * again on what a newer one made, and the newer one again after that.
 *
 * @param from null for a new database
 * @param facts as of `planMigration`
 * @param options.dev no other version is served on the database: types are converted
 */
export function planStart(
  from: StoredManifest | null,
  app: Manifest,
  facts: DataFacts = NO_FACTS,
  { dev = false }: { readonly dev?: boolean } = {},
): StartPlan {
  const { manifest: to } = toTables(from, app);
  const { migration, problems, notices, names } = planMigration(from, app, facts);
  const before = from === null ? [] : withLeftovers(from);
  const leftovers = before.flatMap((entity) =>
    leftOf(
      entity,
      to.entities.find(({ name }) => name === entity.name),
    ),
  );
  const declared = searchIndexesOf(to.entities);
  const searches = { ...from?.search_indexes, ...declared };
  // A version of the app that declares it may be served beside this one.
  const isKeptSearch = (step: MigrationStep): boolean =>
    step.kind === "drop_search" && !Object.hasOwn(declared, step.entity);
  const isWaiting = (step: MigrationStep): boolean =>
    step.kind === "drop_table" ||
    isKeptSearch(step) ||
    step.kind === "drop_column" ||
    (step.kind === "drop_index" && isLeft(step, leftovers));
  const steps = migration.steps.filter((step) => !isWaiting(step));
  return {
    migration: { steps },
    notices,
    names,
    problems: [...problems, ...losses(steps), ...(dev ? [] : conversions(steps))],
    waiting: migration.steps.filter((step) => "destructive" in step && isWaiting(step)),
    stored: {
      ...toStored(leftovers.length === 0 ? to : { ...to, leftovers }),
      ...(Object.keys(searches).length === 0 ? {} : { search_indexes: searches }),
      ...storedNames(from, names),
    },
  };
}

/** A start takes no step that loses data, and can't serve the app without these. */
function losses(steps: readonly MigrationStep[]): Diagnostic[] {
  const destructive = steps.filter((step) => "destructive" in step).map(describeStep);
  if (destructive.length === 0) return [];
  return [
    errorAt(
      "SCHEMA_LOSES_DATA",
      `The new schema would lose data: ${destructive.join(", ")}.`,
      undefined,
      "Add a .convert((old) => value) to the field, undo the change, or delete the data with " +
        "`pylon migrate apply --allow-destructive`.",
    ),
  ];
}

/** Another version, which knows the old type, may be served on the database at the same time. */
function conversions(steps: readonly MigrationStep[]): Diagnostic[] {
  const converting = steps.filter(({ kind }) => kind === "convert_column").map(describeStep);
  if (converting.length === 0) return [];
  return [
    errorAt(
      "SCHEMA_CONVERTS",
      `The new schema changes types, which is not done at start: ${converting.join(", ")}.`,
      undefined,
      "Stop the servers of the previous version, run `pylon migrate apply`, and start again.",
    ),
  ];
}

/**
 * What the database has of an entity and the app does not. An index whose name the app gives to
 * another gives way to it: a database has one of each name.
 */
function leftOf(
  before: ManifestEntity,
  after: ManifestEntity | undefined,
): readonly ManifestEntity[] {
  if (after === undefined) return [before];
  const known = new Set(after.fields.map(({ name }) => name));
  // SQLite takes two names that differ only in case for one.
  const taken = new Set(indexesOf(after).map(({ name }) => name.toLowerCase()));
  const isTaken = (index: string): boolean => taken.has(index.toLowerCase());
  const fields = before.fields
    .filter(({ name }) => !known.has(name))
    // Nobody computes it meanwhile: it is computed again when a version is back that does.
    .map((field: StoredField) => ({ ...field, computed_by: undefined }))
    .map((field) => (isTaken(uniqueIndexName(field.name)) ? { ...field, unique: false } : field))
    .map(({ on_delete: onDelete, ...field }) =>
      onDelete === undefined || isTaken(referenceIndexName(field.name))
        ? field
        : { ...field, on_delete: onDelete },
    );
  const indexes = before.indexes.filter(
    (index) =>
      !isTaken(index.name) && index.fields.some((name) => name !== "id" && !known.has(name)),
  );
  return fields.length === 0 ? [] : [{ name: before.name, fields, indexes }];
}

/**
 * An index over a column that stays: it refuses nothing that the app writes, which leaves the
 * column empty.
 */
function isLeft(
  { entity, index }: { readonly entity: string; readonly index: string },
  leftovers: readonly ManifestEntity[],
): boolean {
  const left = leftovers.find(({ name }) => name === entity);
  return left !== undefined && indexesOf(left).some(({ name }) => name === index);
}
