import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { errorAt, type Diagnostic } from "./diagnostic.ts";
import { targetOf } from "./field-kind.ts";
import { withLeftovers, type StoredManifest, type TableName } from "./stored-manifest.ts";

/** Where an entity is in the database, and what else it goes by. */
export interface AppName extends TableName {
  /** By old name: the field that was renamed from it. */
  readonly oldFields: Readonly<Record<string, string>>;
}

/** By entity: of all those that have another name in the database, or had one. */
export type AppNames = Readonly<Record<string, AppName>>;

/** A manifest in the names of the database. */
export interface TableManifest {
  /** Its entities are named as their tables are, and their fields as the columns. */
  readonly manifest: Manifest;
  readonly names: AppNames;
  /** Names that can't be told apart. */
  readonly problems: readonly Diagnostic[];
  /** Old values that the app does not take over. */
  readonly notices: readonly Diagnostic[];
}

type Known = Pick<StoredManifest, "entities" | "leftovers" | "table_names"> | null;

/** A name of the app, and those that it had before. */
interface Named {
  readonly name: string;
  readonly renamed_from?: readonly string[];
}

/**
 * A manifest as the database is to have it: names that were changed by `renamedFrom` become those
 * that the tables and columns have.
 *
 * @param from what the database has; null for a new one
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
 * What the database remembers of renames: those of the app, and those of other versions of it,
 * which may be served again.
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
 * Where each of the names is kept.
 *
 * @param known the tables or columns that are there
 * @param remembered by name: where it was kept before
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
    if (left !== undefined) found.notices.push(bothThere(labelOf(name), left));
  }
  return places;
}

/** By field: what is remembered of a table's columns, whatever its entity was called. */
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

function bothThere(name: string, old: string): Diagnostic {
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
