import type { FieldKind } from "@pylonsync/query";
import type { Manifest, ManifestEntity, ManifestField, ManifestIndex } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import type { Value } from "./row.ts";
import {
  NO_FACTS,
  type DataFacts,
  type DuplicateValues,
  type LongTexts,
  type LostValues,
  type Orphans,
} from "./data-facts.ts";
import type { Migration, MigrationStep } from "./migration.ts";
import { kindOf } from "./field-kind.ts";
import { maxTextBytes } from "./schema.ts";
import { defaultsToUuid } from "./generated-default.ts";
import { referencesOf, type Reference } from "./references.ts";
import { withNormalDefault } from "./mend-dates.ts";
import { hasRawDefault, withLeftovers, type StoredManifest } from "./stored-manifest.ts";

/** How to bring a database to a schema, and whether that can be done. */
export interface MigrationPlan {
  readonly migration: Migration;
  /** What is to be known of the rows, and keeps nothing from being applied. */
  readonly notices: readonly Diagnostic[];
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
 * @param facts what the rows say, of `inspectData`
 */
export function planMigration(
  from: Pick<StoredManifest, "entities" | "leftovers"> | null,
  to: Pick<Manifest, "entities">,
  facts: DataFacts = NO_FACTS,
): MigrationPlan {
  const problems: Diagnostic[] = [];
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
  return {
    migration: { steps },
    notices: [...facts.orphans].map(([reference, orphans]) => orphansOf(reference, orphans)),
    problems,
    destructive: steps.some((step) => "destructive" in step),
  };
}

function orphansOf(reference: string, { target, rows, example }: Orphans): Diagnostic {
  return {
    severity: "warning",
    code: "SCHEMA_ORPHANS",
    message:
      `${reference} refers to a ${target} that is not there in ${rows} ` +
      `${rows === 1 ? "row" : "rows"}, such as the row "${example}".`,
    path: reference,
    hint: "They stay as they are. Delete them, or give the field another value.",
  };
}

/** A step in words: `add Todo.due (datetime)`. */
export function describeStep(step: MigrationStep): string {
  switch (step.kind) {
    case "create_table": {
      const columns = step.entity.fields.map(({ name, type }) => `${name} ${type}`);
      return `create ${step.entity.name} (${columns.join(", ")})`;
    }
    case "add_column":
      return `add ${step.entity}.${step.field.name} (${step.field.type})`;
    case "mend_dates":
      return `bring the dates of ${step.entity}.${step.field.name} to their normal form`;
    case "create_index": {
      const { name, fields, unique } = step.index;
      const index = `${unique ? "unique " : ""}index ${name}`;
      return `create ${index} on ${step.entity} (${fields.join(", ")})`;
    }
    case "drop_index":
      return `drop index ${step.index} of ${step.entity}`;
    case "drop_table":
      return `drop ${step.entity} with all its rows`;
    case "drop_column":
      return `drop ${step.entity}.${step.field} with all its values`;
    case "retype_column": {
      const { entity, from, to, lost } = step;
      return `change ${entity}.${to.name} from ${from.type} to ${to.type}${lossOf(to, lost)}`;
    }
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

function changeField(
  known: ReadonlyMap<string, ManifestField>,
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
        needsDefault(name, "is new and required, so the rows that are there would have no value"),
      );
    return [{ kind: "add_column", entity: entity.name, field: toColumn(field) }];
  }
  if (old.optional && needsValue(field) && !facts.filled.has(name))
    problems.push(needsDefault(name, "becomes required, and there are rows without a value"));
  if (kindOf(old.type) === "datetime" && kindOf(field.type) === "datetime" && hasRawDefault(old))
    return [{ kind: "mend_dates", entity: entity.name, field: toColumn(field) }];
  if (isStoredAlike(old, field)) return [];
  const lost = facts.lost.get(name);
  if (lost !== undefined && !field.optional) problems.push(notConvertible(name, field, lost));
  return [
    {
      kind: "retype_column",
      entity: entity.name,
      from: toColumn(old),
      to: toColumn(field),
      lost,
      destructive: true,
    },
  ];
}

/** The fields whose values are to be stored in another way. */
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

/** A unique index that is to be made over rows that are there. */
export interface NewUniqueIndex {
  readonly entity: string;
  readonly index: ManifestIndex;
  /** Its fields that the rows have. One that is new has its default in every row. */
  readonly known: readonly string[];
  /** Those of them that get another type: values that differ may become equal. */
  readonly retyped: readonly { readonly from: ManifestField; readonly to: ManifestField }[];
}

/** The unique indexes that are to be made over rows that are there. */
export function newUniqueIndexes(
  from: Pick<StoredManifest, "entities" | "leftovers">,
  to: Pick<Manifest, "entities">,
): NewUniqueIndex[] {
  return sharedEntities(from, to).flatMap(({ before, after }) => {
    const fields = new Map(before.fields.map((field) => [field.name, field]));
    // Of a new field, no two rows have the same value: it is null, or is made for each.
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

/** The texts that come into an index, which limits them, with what they may have then. */
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

/** The references whose field and whose target have tables already. */
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

/** Those of them that were not checked, or not with this entity. */
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

/** SQLite takes two names that differ only in case for one, so neither store gets both. */
function otherCaseOf(name: string, known: Iterable<string>): string | undefined {
  const all = [...known];
  return all.includes(name)
    ? undefined
    : all.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
}

/** A database knows no files: it stores their ids. */
function toColumn(field: ManifestField): ManifestField {
  return field.type === "file" ? { ...field, type: "id(file)" } : withNormalDefault(field);
}

function needsValue(field: ManifestField): boolean {
  return !field.optional && field.default === undefined;
}

function needsDefault(name: string, why: string): Diagnostic {
  return errorAt(
    "SCHEMA_FIELD_NEEDS_DEFAULT",
    `${name} ${why}.`,
    name,
    "Make it .optional(), or give it a .default(value).",
  );
}

function differsInCase(name: string, known: string, what: "entity" | "field"): Diagnostic {
  return errorAt(
    "SCHEMA_NAME_DIFFERS_IN_CASE",
    `The database has the ${what} ${known}, and ${name} differs from it only in case.`,
    name,
    `Keep the name ${known}, or rename it in two steps, ` +
      "through a name that differs in its letters.",
  );
}

function notUnique(
  entity: ManifestEntity,
  index: ManifestIndex,
  groups: readonly DuplicateValues[],
): Diagnostic {
  const fields = index.fields.map((name) => `${entity.name}.${name}`).join(", ");
  const shown = groups.map(
    ({ values, rows }) => `${values.map(showValue).join(", ")} in ${rows} rows`,
  );
  const are = index.fields.length === 1 ? "is" : "are together";
  return errorAt(
    "SCHEMA_VALUES_NOT_UNIQUE",
    `${fields} ${are} to be unique, and rows have the same value: ${shown.join("; ")}.`,
    fields,
    "Change the values so that they differ, or leave out the unique index.",
  );
}

function notConvertible(name: string, field: ManifestField, lost: LostValues): Diagnostic {
  const samples = lost.samples.map(showValue).join(", ");
  return errorAt(
    "SCHEMA_VALUES_NOT_CONVERTIBLE",
    `${name} becomes ${field.type}, and ${countOf(lost)} can't be converted, such as ${samples}.`,
    name,
    "Change these values first, or make the field .optional(): they become null then.",
  );
}

function tooLong(name: string, { rows, maxBytes, example }: LongTexts): Diagnostic {
  return errorAt(
    "SCHEMA_VALUES_TOO_LONG",
    `${name} comes into an index, where a text has at most ${maxBytes} bytes, and ${rows} ` +
      `${rows === 1 ? "row has" : "rows have"} a longer one, such as the row "${example}".`,
    name,
    "Shorten the values, or leave the field out of the index.",
  );
}

function lossOf(to: ManifestField, lost: LostValues | undefined): string {
  if (lost === undefined) return "";
  const end = to.optional ? " and become null" : "";
  const samples = lost.samples.map(showValue).join(", ");
  return `; ${countOf(lost)} can't be converted${end}, such as ${samples}`;
}

function countOf({ count }: LostValues): string {
  return `${count} ${count === 1 ? "value" : "values"}`;
}

/** An id has 40 characters, and is shown whole. */
const MAX_SHOWN_CHARACTERS = 40;

function showValue(value: Value): string {
  const isLong = typeof value === "string" && value.length > MAX_SHOWN_CHARACTERS;
  return JSON.stringify(isLong ? `${value.slice(0, MAX_SHOWN_CHARACTERS)}...` : value);
}

/** Whether the values can stay as they are: string, richtext and id are all text. */
function isStoredAlike(from: ManifestField, to: ManifestField): boolean {
  const a = kindOf(from.type);
  const b = kindOf(to.type);
  return a === b || (isText(a) && isText(b));
}

function isText(kind: FieldKind): boolean {
  return kind === "string" || kind === "richtext" || kind === "id";
}

/**
 * The indexes among `indexes` that `others` does not have, and those of a retyped column, which are
 * made again.
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

/** The index that holds a unique field. */
export function uniqueIndexName(field: string): string {
  return `${field}_unique`;
}

/** The index by which the rows are found that refer to one. */
export function referenceIndexName(field: string): string {
  return `${field}_reference`;
}

/** The declared indexes, and one for each unique field and each reference. */
export function indexesOf(entity: ManifestEntity): ManifestIndex[] {
  const unique = entity.fields
    .filter((field) => field.unique)
    .map((field) => ({ name: uniqueIndexName(field.name), fields: [field.name], unique: true }));
  // Also where a declared index would do: it may go without the field.
  const references = entity.fields
    .filter(({ on_delete: onDelete }) => onDelete !== undefined)
    .map(({ name }) => ({ name: referenceIndexName(name), fields: [name], unique: false }));
  return [...entity.indexes, ...unique, ...references];
}
