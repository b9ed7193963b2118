import type { FieldKind } from "@pylonsync/query";
import { fieldCodeOf, type ManifestField } from "@pylonsync/sdk";
import type { MigrationStep } from "../../schema/migration.ts";
import { defaultsToUuid } from "../../schema/generated-default.ts";
import { defaultsToNow } from "../../schema/datetime-defaults.ts";
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
  encrypted: "TEXT",
};

/** The current time, in the form in which datetimes are stored. */
export const SQL_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/** A random UUID (version 4). */
const SQL_UUID =
  "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || " +
  "substr(hex(randomblob(2)), 2) || '-' || substr('89AB', 1 + (abs(random()) % 4), 1) || " +
  "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

/** The tables of every Pylon database in addition to those of the app. */
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
 * The statements that add missing columns to system tables of an older version.
 *
 * @param known returns the columns of a table, none if it does not exist
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
 * The statements of one migration step. Constraints of columns beyond the type are enforced by the
 * schema, not by SQLite.
 *
 * @param now the time of the migration: ISO 8601 with milliseconds and Z
 */
export function ddlOf(
  step: Exclude<MigrationStep, { kind: "retype_column" | "convert_column" | "repair_dates" }>,
  now: string,
): string[] {
  switch (step.kind) {
    case "create_table": {
      const columns = step.entity.fields.map((field) => columnOf(field, null));
      return [`CREATE TABLE ${quote(step.entity.name)} ${tableOf(columns)}`];
    }
    case "add_column": {
      const { entity, field } = step;
      // A field that is filled in later is null until then.
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

/** The definition of a table with these columns and an id. */
function tableOf(columns: readonly string[]): string {
  return `(${["id TEXT PRIMARY KEY NOT NULL", ...columns].join(", ")}) STRICT, WITHOUT ROWID`;
}

/** Names of indexes are unique in a database, but only within their entity in a manifest. */
function indexName(entity: string, index: string): string {
  return `${entity}.${index}`;
}

/** The type of the column that stores a field. */
export function columnTypeOf(field: ManifestField): string {
  return COLUMN_TYPES[kindOf(field.type)];
}

function columnOf(field: ManifestField, now: string | null): string {
  return `${quote(field.name)} ${columnTypeOf(field)}${defaultOf(field, now)}`;
}

/**
 * The default for existing rows, and for rows of a version of the app that does not know the field.
 * DDL has no parameters, so the value is a literal.
 *
 * @param now the value of the default `now` in an added column, for which SQLite accepts no
 *   expression; null for a column of a new table
 */
function defaultOf(field: ManifestField, now: string | null): string {
  if (field.default === undefined) return "";
  // SQLite accepts no expression for an added column: in rows of an older version it is null.
  if (defaultsToUuid(field)) return now === null ? ` DEFAULT (${SQL_UUID})` : "";
  if (defaultsToNow(field) && now === null) return ` DEFAULT (${SQL_NOW})`;
  const value = encodeOne(
    kindOf(field.type),
    defaultsToNow(field) && now !== null ? now : field.default,
  );
  if (typeof value === "number") return ` DEFAULT ${value}`;
  return ` DEFAULT '${String(value).replaceAll("'", "''")}'`;
}
