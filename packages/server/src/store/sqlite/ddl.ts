import type { FieldKind } from "@pylonsync/query";
import { fieldCodeOf, type ManifestField } from "@pylonsync/sdk";
import type { MigrationStep } from "../../schema/migration.ts";
import { defaultsToUuid } from "../../schema/generated-default.ts";
import { defaultsToNow } from "../../schema/mend-dates.ts";
import { kindOf } from "../../schema/field-kind.ts";
import { beginBackfill } from "../sql/begin-backfill.ts";
import { quote } from "../sql/quote.ts";
import { systemIndexes } from "../sql/system-index.ts";
import { SYSTEM_TABLES, type SystemTable } from "../system-tables.ts";
import { encodeOne } from "./codec.ts";
import { createSearch, dropSearch } from "./search-index.ts";

const COLUMN_TYPES: Record<FieldKind, string> = {
  string: "TEXT",
  richtext: "TEXT",
  id: "TEXT",
  datetime: "TEXT",
  int: "INTEGER",
  bool: "INTEGER",
  float: "REAL",
  decimal: "TEXT",
  json: "TEXT",
  array: "TEXT",
};

/** The time, as datetimes are stored. */
export const SQL_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/** A random UUID (version 4). */
const SQL_UUID =
  "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || " +
  "substr(hex(randomblob(2)), 2) || '-' || substr('89AB', 1 + (abs(random()) % 4), 1) || " +
  "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

/** What every Pylon database holds besides the app's tables. */
export const BASE_DDL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS "_pylon_meta" (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)
     STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS "_pylon_changes" (
     seq INTEGER PRIMARY KEY,
     entity TEXT NOT NULL,
     row_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     before TEXT,
     after TEXT,
     at INTEGER NOT NULL) STRICT`,
  ...Object.values(SYSTEM_TABLES).flatMap(systemTable),
];

function systemTable(table: SystemTable): string[] {
  const name = quote(table.name);
  return [
    `CREATE TABLE IF NOT EXISTS ${name} ${tableOf([...systemColumns(table).values()])}`,
    ...systemIndexes(table),
  ];
}

/**
 * The columns that an older version made its system tables without.
 *
 * @param known the columns of a table, none when it is not there
 */
export function missingColumns(known: (table: string) => ReadonlySet<string>): string[] {
  return Object.values(SYSTEM_TABLES).flatMap((table) => {
    const there = known(table.name);
    if (there.size === 0) return [];
    return [...systemColumns(table)]
      .filter(([name]) => !there.has(name))
      .map(([, column]) => `ALTER TABLE ${quote(table.name)} ADD COLUMN ${column}`);
  });
}

function systemColumns(table: SystemTable): Map<string, string> {
  return new Map(
    [...table.fields]
      .filter(([name]) => name !== "id")
      .map(([name, kind]) => [name, `${quote(name)} ${COLUMN_TYPES[kind]}`]),
  );
}

/**
 * The statements that take one migration step. Column constraints beyond the type are the schema's
 * to hold, not SQLite's.
 *
 * @param now the time of the migration: ISO 8601 with milliseconds and Z
 */
export function ddlOf(
  step: Exclude<MigrationStep, { kind: "retype_column" | "convert_column" | "mend_dates" }>,
  now: string,
): string[] {
  switch (step.kind) {
    case "create_table": {
      const columns = step.entity.fields.map((field) => columnOf(field, null));
      return [`CREATE TABLE ${quote(step.entity.name)} ${tableOf(columns)}`];
    }
    case "add_column": {
      const { entity, field } = step;
      // What is filled in later is empty until then.
      const { default: _, ...bare } = field;
      const added = fieldCodeOf(field)?.backfill === undefined ? field : bare;
      return [`ALTER TABLE ${quote(entity)} ADD COLUMN ${columnOf(added, now)}`];
    }
    case "backfill":
    case "compute":
      return [beginBackfill(step)];
    case "create_index": {
      const { entity, index } = step;
      const columns = index.fields.map(quote).join(", ");
      const unique = index.unique ? "UNIQUE " : "";
      const name = quote(indexName(entity, index.name));
      return [`CREATE ${unique}INDEX ${name} ON ${quote(entity)} (${columns})`];
    }
    case "drop_index":
      return [`DROP INDEX IF EXISTS ${quote(indexName(step.entity, step.index))}`];
    case "build_search":
      return createSearch(step.entity, step.index);
    case "drop_search":
      return dropSearch(step.entity);
    case "drop_table":
      return [...dropSearch(step.entity), `DROP TABLE ${quote(step.entity)}`];
    case "drop_column":
      return [`ALTER TABLE ${quote(step.entity)} DROP COLUMN ${quote(step.field)}`];
  }
}

/** A table with these columns beside its id. */
function tableOf(columns: readonly string[]): string {
  return `(${["id TEXT PRIMARY KEY NOT NULL", ...columns].join(", ")}) STRICT, WITHOUT ROWID`;
}

/** Index names are unique in a database, in a manifest only within their entity. */
function indexName(entity: string, index: string): string {
  return `${entity}.${index}`;
}

/** The type of the column that holds a field. */
export function columnTypeOf(field: ManifestField): string {
  return COLUMN_TYPES[kindOf(field.type)];
}

function columnOf(field: ManifestField, now: string | null): string {
  return `${quote(field.name)} ${columnTypeOf(field)}${defaultOf(field, now)}`;
}

/**
 * For rows that are there already, and those of a version of the app that does not know the field.
 * DDL takes no parameters, hence the literal.
 *
 * @param now what a default of `now` stands for in a column that is added, where SQLite takes no
 *   expression; null for a column of a new table
 */
function defaultOf(field: ManifestField, now: string | null): string {
  if (field.default === undefined) return "";
  // SQLite takes no expression for a column that is added: an older version leaves it empty.
  if (defaultsToUuid(field)) return now === null ? ` DEFAULT (${SQL_UUID})` : "";
  if (defaultsToNow(field) && now === null) return ` DEFAULT (${SQL_NOW})`;
  const value = encodeOne(
    kindOf(field.type),
    defaultsToNow(field) && now !== null ? now : field.default,
  );
  if (typeof value === "number") return ` DEFAULT ${value}`;
  return ` DEFAULT '${String(value).replaceAll("'", "''")}'`;
}
