import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { targetOf } from "./field-kind.ts";
import { withLeftovers, type StoredManifest, type TableName } from "./stored-manifest.ts";

/** The location of an entity in the database, and its other names. */
export interface AppName extends TableName {
  /** By old name: the field that was renamed from it. */
  readonly oldFields: Readonly<Record<string, string>>;
}

/** By entity: all those that have another name in the database, or had one. */
export type AppNames = Readonly<Record<string, AppName>>;

/** A manifest with the names of the database. */
export interface TableManifest {
  /** The entities have the names of their tables, and the fields those of the columns. */
  readonly manifest: Manifest;
  readonly names: AppNames;
  /** Names that are ambiguous. */
  readonly problems: readonly Diagnostic[];
  /** Old values that the app does not adopt. */
  readonly notices: readonly Diagnostic[];
}

type Known = Pick<StoredManifest, "entities" | "leftovers" | "table_names"> | null;

/** A name of the app, and its earlier names. */
interface Named {
  readonly name: string;
  readonly renamed_from?: readonly string[];
}

/**
 * Converts a manifest to the names of the database: names that were changed by `renamedFrom` are
 * replaced by those of the existing tables and columns.
 *
 * @param from the state of the database; null for a new one
 */
export function toTables<M extends Pick<Manifest, "entities">>(
  from: Known,
  to: M,
): Omit<TableManifest, "manifest"> & { readonly manifest: M } {
  const found = { problems: new Array<Diagnostic>(), notices: new Array<Diagnostic>() };
  const before = new Map(
    (from === null ? [] : withLeftovers(from)).map((entity) => [entity.name, entity]),
  );
  const known = from?.table_names ?? {};
  const tables = placesOf(
    to.entities,
    [...before.keys()],
    Object.fromEntries(Object.entries(known).map(([name, { table }]) => [name, table])),
    found,
    (name) => name,
  );
  const names = new Map(
    to.entities.map((entity): [string, TableName] => {
      const table = tables.get(entity.name) ?? entity.name;
      const columns = placesOf(
        entity.fields,
        before.get(table)?.fields.map(({ name }) => name) ?? [],
        columnsOf(known, table),
        found,
        (name) => `${entity.name}.${name}`,
      );
      return [entity.name, { table, columns: Object.fromEntries(columns) }];
    }),
  );
  return {
    manifest: { ...to, entities: to.entities.map((entity) => renamed(entity, names)) },
    names: Object.fromEntries(
      to.entities.flatMap((entity) => appNameOf(entity, names.get(entity.name))),
    ),
    ...found,
  };
}

/**
 * The renames that the database stores: those of the app, and those of other versions, which may be
 * served again.
 */
export function storedNames(from: Known, names: AppNames): Pick<StoredManifest, "table_names"> {
  const all: Record<string, TableName> = { ...from?.table_names };
  for (const [entity, { table, columns }] of Object.entries(names)) {
    if (table === entity && Object.keys(columns).length === 0) continue;
    all[entity] = { table, columns: { ...ownOf(all, entity)?.columns, ...columns } };
  }
  return Object.keys(all).length === 0 ? {} : { table_names: all };
}

function appNameOf(
  { name, fields }: ManifestEntity,
  { table, columns }: TableName = { table: name, columns: {} },
): [string, AppName][] {
  const others = Object.entries(columns).filter(([field, column]) => field !== column);
  const old = fields.flatMap((field) =>
    (field.renamed_from ?? []).map((before): [string, string] => [before, field.name]),
  );
  return table === name && others.length === 0 && old.length === 0
    ? []
    : [[name, { table, columns: Object.fromEntries(others), oldFields: Object.fromEntries(old) }]];
}

/**
 * Returns the table or column of each name.
 *
 * @param known the existing tables or columns
 * @param remembered by name: its table or column so far
 */
function placesOf(
  wanted: readonly Named[],
  known: readonly string[],
  remembered: Readonly<Record<string, string>>,
  found: { readonly problems: Diagnostic[]; readonly notices: Diagnostic[] },
  labelOf: (name: string) => string,
): Map<string, string> {
  const there = new Set(known);
  const places = new Map<string, string>();
  const declared = new Set(wanted.map(({ name }) => name));
  for (const { name, renamed_from: oldNames = [] } of wanted) {
    const candidates = [name, ...oldNames.toReversed()].flatMap((known) => {
      const before = ownOf(remembered, known);
      return before === undefined ? [known] : [before, known];
    });
    const place = candidates.find((candidate) => there.has(candidate)) ?? name;
    places.set(name, place);
    if (place !== name && declared.has(place))
      found.problems.push(placeTaken(labelOf(place), labelOf(name)));
    const left = oldNames.find((old) => place === name && there.has(old));
    if (left !== undefined) found.notices.push(bothExist(labelOf(name), left));
  }
  return places;
}

/** By field: the stored names of a table's columns, under all names of its entity. */
function columnsOf(
  known: Readonly<Record<string, TableName>>,
  table: string,
): Readonly<Record<string, string>> {
  const all = Object.values(known).filter((name) => name.table === table);
  return Object.assign({}, ...all.map(({ columns }) => columns));
}

function placeTaken(name: string, other: string): Diagnostic {
  return errorAt(
    "SCHEMA_NAME_TAKEN",
    `The name ${name} is in use in the database: ${other} was renamed from it.`,
    name,
    `Choose another name instead of ${name}.`,
  );
}

function bothExist(name: string, old: string): Diagnostic {
  return {
    severity: "warning",
    code: "SCHEMA_RENAME_SKIPPED",
    message: `${name} already exists, so the data of "${old}" is not moved to it.`,
    path: name,
    hint: `Copy missing values with a function, ` + `then remove renamedFrom("${old}").`,
  };
}

function renamed(entity: ManifestEntity, names: ReadonlyMap<string, TableName>): ManifestEntity {
  const { renamed_from: _, ...rest } = entity;
  const own = names.get(entity.name);
  const column = (name: string): string => ownOf(own?.columns ?? {}, name) ?? name;
  const tableOf = (name: string): string => names.get(name)?.table ?? name;
  const { relations, search } = entity;
  return {
    ...rest,
    name: own?.table ?? entity.name,
    fields: entity.fields.map((field) => renamedField(field, column, tableOf)),
    indexes: entity.indexes.map((index) => ({ ...index, fields: index.fields.map(column) })),
    ...(relations === undefined
      ? {}
      : { relations: relations.map((it) => ({ ...it, target: tableOf(it.target) })) }),
    ...(search === undefined
      ? {}
      : {
          search: {
            ...search,
            text: search.text.map(column),
            facets: search.facets.map(column),
            sortable: search.sortable.map(column),
            ...(search.weights === undefined
              ? {}
              : {
                  weights: Object.fromEntries(
                    Object.entries(search.weights).map(([name, weight]) => [column(name), weight]),
                  ),
                }),
          },
        }),
  };
}

function renamedField(
  field: ManifestField,
  column: (name: string) => string,
  tableOf: (name: string) => string,
): ManifestField {
  const { renamed_from: _, ...kept } = field;
  const target = targetOf(field.type);
  return {
    ...kept,
    name: column(field.name),
    ...(target === undefined ? {} : { type: `id(${tableOf(target)})` }),
  };
}

function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
