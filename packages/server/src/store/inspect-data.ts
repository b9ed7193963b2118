import type { EntityShape, Expr, FieldKind } from "@pylonsync/query";
import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import type {
  DataFacts,
  DuplicateValues,
  LongTexts,
  LostValues,
  Orphans,
} from "../schema/data-facts.ts";
import {
  knownReferences,
  newlyLimitedTexts,
  newReferences,
  newUniqueIndexes,
  retypedFields,
  tightenedFields,
  type NewUniqueIndex,
} from "../schema/diff.ts";
import { convertField } from "../schema/field-code.ts";
import { kindOf } from "../schema/field-kind.ts";
import { isOrphan, type Reference } from "../schema/references.ts";
import { parseStoredManifest, withLeftovers } from "../schema/stored-manifest.ts";
import { toTables } from "../schema/table-names.ts";
import type { Reader, Store, StoredRow, Value } from "./store.ts";

const PAGE = 1_000;
/** The maximum number of examples of each kind in a plan. */
const MAX_SAMPLES = 5;

/**
 * Finds the rows that a migration would reject or lose. It can run while a server is running, and
 * reads only the tables that the migration affects.
 *
 * @param app the manifest that the database will be migrated to
 * @param options.allReferences finds orphans of every reference, instead of only those of new ones
 */
export async function inspectData(
  store: Pick<Store, "storedManifest" | "readerOf">,
  app: Pick<Manifest, "entities">,
  options: { readonly allReferences?: boolean } = {},
): Promise<DataFacts> {
  const stored = parseStoredManifest(await store.storedManifest());
  const [filled, lost, duplicates, tooLong] = [
    new Set<string>(),
    new Map<string, LostValues>(),
    new Map<string, readonly DuplicateValues[]>(),
    new Map<string, LongTexts>(),
  ];
  const orphans = new Map<string, Orphans>();
  if (stored === null) return { filled, lost, duplicates, tooLong, orphans };
  const { manifest: to } = toTables(stored, app);
  const shapes = withLeftovers(stored).map(shapeOf);
  const reader = store.readerOf(new Map(shapes.map((shape) => [shape.name, shape])));
  for (const { entity, field } of tightenedFields(stored, to)) {
    if ((await reader.count(entity, isNull(field))) === 0) filled.add(`${entity}.${field}`);
  }
  for (const { entity, from, to: field } of retypedFields(stored, to)) {
    const values = await lostValues(reader, entity, from, field);
    if (values.count > 0) lost.set(`${entity}.${field.name}`, values);
  }
  for (const index of newUniqueIndexes(stored, to)) {
    const { entity, known, retyped } = index;
    const groups = await (retyped.length === 0
      ? duplicateValues(reader, entity, known)
      : duplicateConversions(reader, index));
    if (groups.length > 0) duplicates.set(`${entity}.${index.index.name}`, groups);
  }
  for (const { entity, field, maxBytes } of newlyLimitedTexts(stored, to)) {
    const texts = await longTexts(reader, entity, field, maxBytes);
    if (texts.rows > 0) tooLong.set(`${entity}.${field}`, texts);
  }
  const references = options.allReferences === true ? knownReferences : newReferences;
  for (const reference of references(stored, to)) {
    const found = await orphansOf(reader, reference);
    if (found.rows > 0) orphans.set(`${reference.entity}.${reference.field}`, found);
  }
  return { filled, lost, duplicates, tooLong, orphans };
}

async function orphansOf(reader: Reader, reference: Reference): Promise<Orphans> {
  const where = isOrphan(reference);
  const rows = await reader.count(reference.entity, where);
  const [first] =
    rows === 0 ? [] : await reader.select({ entity: reference.entity, where, limit: 1 });
  return { target: reference.target, rows, example: first?.id ?? "" };
}

async function longTexts(
  reader: Reader,
  entity: string,
  field: string,
  maxBytes: number,
): Promise<LongTexts> {
  let rows = 0;
  let example = "";
  for await (const row of allRows(reader, entity)) {
    const value = row[field];
    if (typeof value !== "string" || Buffer.byteLength(value) <= maxBytes) continue;
    rows += 1;
    if (rows === 1) example = row.id;
  }
  return { rows, maxBytes, example };
}

/** Like `duplicateValues`, for the converted values: `"5"` and `"05"` become the same int. */
async function duplicateConversions(
  reader: Reader,
  { entity, known, retyped }: NewUniqueIndex,
): Promise<DuplicateValues[]> {
  const conversions = new Map(retyped.map((conversion) => [conversion.to.name, conversion]));
  const groups = new Map<string, { readonly values: readonly Value[]; rows: number }>();
  for await (const row of allRows(reader, entity)) {
    const values = known.map((name) => {
      const value = row[name] ?? null;
      const conversion = conversions.get(name);
      if (conversion === undefined) return value;
      const made = convertField(value, conversion.from, conversion.to);
      return made.ok ? made.value : null;
    });
    if (values.includes(null)) continue;
    const key = JSON.stringify(values);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { values, rows: 1 });
    else group.rows += 1;
  }
  return [...groups.values()].filter(({ rows }) => rows > 1).slice(0, MAX_SAMPLES);
}

async function lostValues(
  reader: Reader,
  entity: string,
  from: ManifestField,
  to: ManifestField,
): Promise<LostValues> {
  const samples: Value[] = [];
  let count = 0;
  let example = { id: "", reason: "" };
  for await (const row of allRows(reader, entity)) {
    const value = row[from.name] ?? null;
    const made = convertField(value, from, to);
    if (made.ok) continue;
    count += 1;
    if (count === 1) example = { id: row.id, reason: made.reason };
    if (samples.length < MAX_SAMPLES && !samples.includes(value)) samples.push(value);
  }
  return { count, samples, example };
}

/** A row with a null is in no unique index. Without fields, all rows are equal. */
async function duplicateValues(
  reader: Reader,
  entity: string,
  fields: readonly string[],
): Promise<DuplicateValues[]> {
  const groups = await reader.aggregate({
    entity,
    where: { kind: "and", items: fields.map((field) => ({ kind: "not", item: isNull(field) })) },
    groupBy: fields.map((field) => ({ field, as: field })),
    measures: [{ fn: "count", as: "_rows" }],
    atLeast: 2,
    limit: MAX_SAMPLES,
  });
  return groups.map((group) => ({
    values: fields.map((field) => group[field] ?? null),
    rows: Number(group["_rows"]),
  }));
}

async function* allRows(reader: Reader, entity: string): AsyncGenerator<StoredRow> {
  let last: string | null = null;
  for (;;) {
    const rows: StoredRow[] = await reader.select({
      entity,
      where: last === null ? undefined : isAfter(last),
      limit: PAGE,
    });
    yield* rows;
    last = rows.at(-1)?.id ?? null;
    if (rows.length < PAGE) return;
  }
}

function shapeOf({ name, fields }: ManifestEntity): EntityShape {
  const kinds = fields.map((field): [string, FieldKind] => [field.name, kindOf(field.type)]);
  return { name, fields: new Map<string, FieldKind>([["id", "id"], ...kinds]) };
}

function isNull(field: string): Expr {
  return compare("==", field, null);
}

function isAfter(id: string): Expr {
  return compare(">", "id", id);
}

function compare(op: "==" | ">", name: string, value: string | null): Expr {
  return {
    kind: "compare",
    op,
    left: { kind: "path", root: "data", name },
    right: { kind: "literal", value },
  };
}
