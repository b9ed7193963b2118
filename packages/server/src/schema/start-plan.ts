import type { Manifest, ManifestEntity } from "@pylonsync/sdk";
import { NO_FACTS, type DataFacts } from "./data-facts.ts";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { describeStep } from "./describe-step.ts";
import { indexesOf, planMigration, referenceIndexName, uniqueIndexName } from "./diff.ts";
import type { Migration, MigrationStep } from "./migration.ts";
import { searchIndexesOf } from "./search-index.ts";
import { storedNames, toTables, type AppNames } from "./table-names.ts";
import {
  toStored,
  withLeftovers,
  type StoredField,
  type StoredManifest,
} from "./stored-manifest.ts";

/** How a server that starts migrates the database to its app. */
export interface StartPlan {
  readonly migration: Migration;
  /** Problems that prevent the app from being served on this database. */
  readonly problems: readonly Diagnostic[];
  /** As in a MigrationPlan. */
  readonly notices: readonly Diagnostic[];
  /**
   * Steps that are deferred until `pylon migrate apply --allow-destructive`: the app works without
   * them.
   */
  readonly waiting: readonly MigrationStep[];
  readonly stored: StoredManifest;
  /** The entities and fields whose name in the app differs from that in the database. */
  readonly names: AppNames;
}

/**
 * Plans the migration at a server's start: additions of the app, and nothing that loses data.
 * Entities and fields that the app does not know remain, so that an older version can be served
 * again on the database of a newer one, and the newer one again after that.
 *
 * @param from null for a new database
 * @param facts as in `planMigration`
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
  // Another version of the app, which declares this search, may be served at the same time.
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

/** A start executes no step that loses data, but the app can't be served without these. */
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

/** Another version, which expects the old type, may be served on the database at the same time. */
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
 * The parts of an entity that exist in the database but not in the app. An index is not retained if
 * the app uses its name for another one: names of indexes are unique in a database.
 */
function leftOf(
  before: ManifestEntity,
  after: ManifestEntity | undefined,
): readonly ManifestEntity[] {
  if (after === undefined) return [before];
  const known = new Set(after.fields.map(({ name }) => name));
  // SQLite treats two names that differ only in case as equal.
  const taken = new Set(indexesOf(after).map(({ name }) => name.toLowerCase()));
  const isTaken = (index: string): boolean => taken.has(index.toLowerCase());
  const fields = before.fields
    .filter(({ name }) => !known.has(name))
    // No version computes the field meanwhile: it is computed again once a version that does is
    // back.
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
 * Whether an index covers a column that remains: it rejects no writes of the app, because the app
 * leaves the column empty.
 */
function isLeft(
  { entity, index }: { readonly entity: string; readonly index: string },
  leftovers: readonly ManifestEntity[],
): boolean {
  const left = leftovers.find(({ name }) => name === entity);
  return left !== undefined && indexesOf(left).some(({ name }) => name === index);
}
