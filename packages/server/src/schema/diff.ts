import type { FieldKind } from "@pylonsync/query";
import {
  fieldCodeOf,
  type Manifest,
  type ManifestEntity,
  type ManifestField,
  type ManifestIndex,
} from "@pylonsync/sdk";
import type { Diagnostic } from "./diagnostic.ts";
import { NO_FACTS, type DataFacts, type DuplicateValues } from "./data-facts.ts";
import type { Migration, MigrationStep } from "./migration.ts";
import { computedBy, isFilledByCode } from "./field-code.ts";
import { kindOf } from "./field-kind.ts";
import { maxTextBytes } from "./schema.ts";
import { defaultsToUuid } from "./generated-default.ts";
import { referencesOf, type Reference } from "./references.ts";
import { withNormalDefault } from "./datetime-defaults.ts";
import { isSameSearchIndex, searchIndexesOf, type SearchIndex } from "./search-index.ts";
import {
  hasRawDefault,
  toStored,
  withLeftovers,
  type StoredField,
  type StoredManifest,
} from "./stored-manifest.ts";
import { storedNames, toTables, type AppNames } from "./table-names.ts";
import {
  differsInCase,
  encryptionChanged,
  needsDefault,
  notConvertible,
  notUnique,
  orphansOf,
  tooLong,
} from "./migration-problems.ts";

/** The migration of a database to a schema, and whether it can be applied. */
export interface MigrationPlan {
  readonly migration: Migration;
  /** Facts about the rows that the operator should know, but that do not prevent the migration. */
  readonly notices: readonly Diagnostic[];
  /** Problems that prevent the migration from being applied at all. */
  readonly problems: readonly Diagnostic[];
  /** At least one step loses data. */
  readonly destructive: boolean;
  /** The entities and fields whose name in the app differs from that in the database. */
  readonly names: AppNames;
  /** The database's description of itself after all steps. */
  readonly stored: StoredEntities;
}

/** The parts of a stored manifest that a migration uses. */
type StoredEntities = Pick<
  StoredManifest,
  "entities" | "leftovers" | "search_indexes" | "table_names"
>;

/**
 * Plans the migration of a database from one schema to another, including leftovers in the
 * database.
 *
 * @param from null for a new database
 * @param facts the facts about the rows, from `inspectData`
 */
export function planMigration(
  from: StoredEntities | null,
  app: Pick<Manifest, "entities">,
  facts: DataFacts = NO_FACTS,
): MigrationPlan {
  const { manifest: to, names, problems: unclear, notices } = toTables(from, app);
  const problems: Diagnostic[] = [...unclear];
  const before = new Map(
    (from === null ? [] : withLeftovers(from)).map((entity) => [entity.name, entity]),
  );
  const after = new Map(to.entities.map((entity) => [entity.name, entity]));
  const steps: MigrationStep[] = [];
  for (const entity of to.entities) {
    const known = before.get(entity.name);
    const alike = otherCaseOf(entity.name, before.keys());
    if (alike !== undefined) problems.push(differsInCase(entity.name, alike, "entity"));
    if (known === undefined)
      steps.push(
        { kind: "create_table", entity: { ...entity, fields: entity.fields.map(toColumn) } },
        ...indexesOf(entity).map((index) => createIndex(entity, index)),
      );
    else steps.push(...changeEntity(known, entity, facts, problems));
  }
  for (const name of before.keys()) {
    if (!after.has(name)) steps.push({ kind: "drop_table", entity: name, destructive: true });
  }
  const searches = searchSteps(from?.search_indexes ?? {}, searchIndexesOf(to.entities), steps);
  steps.unshift(...searches.before);
  steps.push(...searches.after);
  return {
    migration: { steps },
    notices: [
      ...notices,
      ...[...facts.orphans].map(([reference, orphans]) => orphansOf(reference, orphans)),
    ],
    problems,
    destructive: steps.some((step) => "destructive" in step),
    names,
    stored: { ...toStored(to), ...storedNames(from, names) },
  };
}

/**
 * A search index that changes, or whose fields get another type, is dropped before its columns
 * change, and built after that.
 */
function searchSteps(
  from: Readonly<Record<string, SearchIndex>>,
  to: Readonly<Record<string, SearchIndex>>,
  steps: readonly MigrationStep[],
): { readonly before: MigrationStep[]; readonly after: MigrationStep[] } {
  const retyped = new Set(
    steps.flatMap((step) =>
      step.kind === "retype_column" || step.kind === "convert_column"
        ? [`${step.entity}.${step.to.name}`]
        : [],
    ),
  );
  const stays = (entity: string): boolean => {
    const [known, wanted] = [ownOf(from, entity), ownOf(to, entity)];
    return (
      known !== undefined &&
      wanted !== undefined &&
      isSameSearchIndex(known, wanted) &&
      !wanted.fields.some(({ name }) => retyped.has(`${entity}.${name}`))
    );
  };
  return {
    before: Object.keys(from)
      .filter((entity) => !stays(entity))
      .map((entity) => ({ kind: "drop_search", entity })),
    after: Object.entries(to)
      .filter(([entity]) => !stays(entity))
      .map(([entity, index]) => ({ kind: "build_search", entity, index })),
  };
}

function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** The fields that are optional and become required without a default. */
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
  facts: DataFacts,
  problems: Diagnostic[],
): MigrationStep[] {
  const known = new Map(before.fields.map((field) => [field.name, field]));
  const kept = new Set(after.fields.map(({ name }) => name));
  const columns = after.fields.flatMap((field) =>
    changeField(known, after, field, facts, problems),
  );
  for (const [index, groups] of duplicatesOf(after, facts))
    problems.push(notUnique(after, index, groups));
  for (const { name } of after.fields) {
    const texts = facts.tooLong.get(`${after.name}.${name}`);
    if (texts !== undefined) problems.push(tooLong(`${after.name}.${name}`, texts));
  }
  const dropped = before.fields.filter(({ name }) => !kept.has(name));
  const retyped = new Set(
    columns.flatMap((step) =>
      step.kind === "retype_column" || step.kind === "convert_column" ? [step.to.name] : [],
    ),
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

function changeField(
  known: ReadonlyMap<string, StoredField>,
  entity: ManifestEntity,
  field: ManifestField,
  facts: DataFacts,
  problems: Diagnostic[],
): MigrationStep[] {
  const name = `${entity.name}.${field.name}`;
  const alike = otherCaseOf(field.name, known.keys());
  if (alike !== undefined) problems.push(differsInCase(name, `${entity.name}.${alike}`, "field"));
  const old = known.get(field.name);
  if (old === undefined) {
    if (needsValue(field))
      problems.push(
        needsDefault(name, "is new and required, so existing rows would have no value"),
      );
    const column = { entity: entity.name, field: toColumn(field) };
    return [
      { kind: "add_column", ...column },
      ...(isBackfilled(field) ? [{ kind: "backfill", ...column } as const] : []),
      ...(computedBy(field) === undefined ? [] : [{ kind: "compute", ...column } as const]),
    ];
  }
  if (old.optional && needsValue(field) && !facts.filled.has(name))
    problems.push(needsDefault(name, "becomes required, but there are rows without a value"));
  if (kindOf(old.type) === "datetime" && kindOf(field.type) === "datetime" && hasRawDefault(old))
    return [{ kind: "repair_dates", entity: entity.name, field: toColumn(field) }];
  const code = computedBy(field);
  const isRecomputed = code !== undefined && old.computed_by !== code;
  const column = { entity: entity.name, field: toColumn(field) };
  const recompute = isRecomputed ? [{ kind: "compute", ...column } as const] : [];
  if (isStoredAlike(old, field))
    return old.optional && !field.optional && isBackfilled(field) && !facts.filled.has(name)
      ? [{ kind: "backfill", ...column }]
      : recompute;
  if (isEncrypted(old) !== isEncrypted(field)) {
    problems.push(encryptionChanged(name, old, field));
    return [];
  }
  const lost = facts.lost.get(name);
  const isConverted = fieldCodeOf(field)?.convert !== undefined;
  if (lost !== undefined && (isConverted || !field.optional))
    problems.push(notConvertible(name, field, lost));
  const change = { entity: entity.name, from: toColumn(old), to: toColumn(field) };
  return [
    isConverted
      ? { kind: "convert_column", ...change }
      : { kind: "retype_column", ...change, lost, destructive: true },
    ...recompute,
  ];
}

/** Existing rows get individual values, from code or as random UUIDs. */
function isBackfilled(field: ManifestField): boolean {
  return isFilledByCode(field) || defaultsToUuid(field);
}

/** The fields whose values will be stored in another format. */
export function retypedFields(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): { readonly entity: string; readonly from: ManifestField; readonly to: ManifestField }[] {
  return sharedEntities(from, to).flatMap(({ before, after }) =>
    after.fields.flatMap((field) => {
      const old = before.fields.find(({ name }) => name === field.name);
      return old === undefined || isStoredAlike(old, field)
        ? []
        : [{ entity: after.name, from: toColumn(old), to: toColumn(field) }];
    }),
  );
}

/** A unique index that will be created over existing rows. */
export interface NewUniqueIndex {
  readonly entity: string;
  readonly index: ManifestIndex;
  /**
   * The fields of the index that the rows already have. A new field has its default in every row.
   */
  readonly known: readonly string[];
  /** Those of these fields that get another type: different values may become equal. */
  readonly retyped: readonly { readonly from: ManifestField; readonly to: ManifestField }[];
}

/** The unique indexes that will be created over existing rows. */
export function newUniqueIndexes(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): NewUniqueIndex[] {
  return sharedEntities(from, to).flatMap(({ before, after }) => {
    const fields = new Map(before.fields.map((field) => [field.name, field]));
    // In a new field no two rows have the same value: it is null, or is generated for each row.
    const isDistinct = (field: ManifestField): boolean =>
      (field.default === undefined || defaultsToUuid(field)) && !fields.has(field.name);
    const retyped = retypedFields(from, { entities: [after] });
    return missingFrom(
      indexesOf(before),
      indexesOf(after),
      new Set(retyped.map(({ to: { name } }) => name)),
    )
      .filter(({ unique }) => unique)
      .filter((index) => {
        const own = after.fields.filter(({ name }) => index.fields.includes(name));
        return !index.fields.includes("id") && !own.some(isDistinct);
      })
      .map((index) => ({
        entity: after.name,
        index,
        known: index.fields.filter((name) => fields.has(name)),
        retyped: retyped.filter(({ to: { name } }) => index.fields.includes(name)),
      }));
  });
}

/** The texts that become part of an index, which limits their length, each with its new limit. */
export function newlyLimitedTexts(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): { readonly entity: string; readonly field: string; readonly maxBytes: number }[] {
  return sharedEntities(from, to).flatMap(({ before, after }) =>
    after.fields.flatMap((field) => {
      const old = before.fields.find(({ name }) => name === field.name);
      if (old === undefined || !isStoredAlike(old, field)) return [];
      const maxBytes = maxTextBytes(after, field);
      return maxBytes < maxTextBytes(before, old)
        ? [{ entity: after.name, field: field.name, maxBytes }]
        : [];
    }),
  );
}

/** The references whose field and target already have tables. */
export function knownReferences(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): Reference[] {
  const before = new Map(withLeftovers(from).map((entity) => [entity.name, entity]));
  return referencesOf(to.entities).filter(({ entity, field, target }) => {
    const old = before.get(entity)?.fields.find(({ name }) => name === field);
    return old !== undefined && before.has(target) && isText(kindOf(old.type));
  });
}

/** Those references that were not checked before, or not against this entity. */
export function newReferences(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): Reference[] {
  const known = new Set(
    referencesOf(from.entities).map(({ entity, field, target }) => `${entity}.${field}.${target}`),
  );
  return knownReferences(from, to).filter(
    ({ entity, field, target }) => !known.has(`${entity}.${field}.${target}`),
  );
}

function sharedEntities(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): { readonly before: ManifestEntity; readonly after: ManifestEntity }[] {
  const known = new Map(withLeftovers(from).map((entity) => [entity.name, entity]));
  return to.entities.flatMap((after) => {
    const before = known.get(after.name);
    return before === undefined ? [] : [{ before, after }];
  });
}

function duplicatesOf(
  entity: ManifestEntity,
  { duplicates }: DataFacts,
): [ManifestIndex, readonly DuplicateValues[]][] {
  return indexesOf(entity).flatMap((index) => {
    const groups = duplicates.get(`${entity.name}.${index.name}`) ?? [];
    return groups.length === 0 ? [] : [[index, groups]];
  });
}

/** SQLite treats two names that differ only in case as equal, so neither store gets both. */
function otherCaseOf(name: string, known: Iterable<string>): string | undefined {
  const all = [...known];
  return all.includes(name)
    ? undefined
    : all.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
}

/** A database has no file type: it stores the ids of files. */
function toColumn(field: ManifestField): ManifestField {
  return field.type === "file" ? { ...field, type: "id(file)" } : withNormalDefault(field);
}

function needsValue(field: ManifestField): boolean {
  return (
    !field.optional &&
    field.default === undefined &&
    field.computed !== true &&
    !isFilledByCode(field)
  );
}

/** Whether the values can remain unchanged: string, richtext and id are all text. */
function isStoredAlike(from: ManifestField, to: ManifestField): boolean {
  const a = kindOf(from.type);
  const b = kindOf(to.type);
  return a === b || (isText(a) && isText(b));
}

function isEncrypted({ type }: ManifestField): boolean {
  return kindOf(type) === "encrypted";
}

function isText(kind: FieldKind): boolean {
  return kind === "string" || kind === "richtext" || kind === "id";
}

/**
 * The indexes of `indexes` that are missing in `others`, and those of a retyped column, which are
 * created again.
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

/** The name of the index that enforces a unique field. */
export function uniqueIndexName(field: string): string {
  return `${field}_unique`;
}

/** The name of the index that finds the rows that refer to a row. */
export function referenceIndexName(field: string): string {
  return `${field}_reference`;
}

/** The declared indexes, and one for each unique field and each reference. */
export function indexesOf(entity: ManifestEntity): ManifestIndex[] {
  const unique = entity.fields
    .filter((field) => field.unique)
    .map((field) => ({ name: uniqueIndexName(field.name), fields: [field.name], unique: true }));
  // Even if a declared index would suffice: that index may be removed without the field.
  const references = entity.fields
    .filter(({ on_delete: onDelete }) => onDelete !== undefined)
    .map(({ name }) => ({ name: referenceIndexName(name), fields: [name], unique: false }));
  return [...entity.indexes, ...unique, ...references];
}
