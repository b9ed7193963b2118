import { hash } from "node:crypto";
import type { FieldKind } from "@pylonsync/query";
import { fieldCodeOf, type ManifestField, type ManifestIndex } from "@pylonsync/sdk";
import type { MigrationStep } from "../../schema/migration.ts";
import { defaultsToUuid } from "../../schema/generated-default.ts";
import { defaultsToNow } from "../../schema/mend-dates.ts";
import { kindOf } from "../../schema/field-kind.ts";
import { beginBackfill } from "../sql/begin-backfill.ts";
import { quote } from "../sql/quote.ts";
import { systemIndexes } from "../sql/system-index.ts";
import { SYSTEM_TABLES, type SystemTable } from "../system-tables.ts";
import { CHANGE_LOG_DDL } from "./change-log.ts";
import { createSearch, dropSearch } from "./search-index.ts";
import { CHANNEL_DDL } from "./channel/channel-functions.ts";

/** Texts are ordered by code point, as in SQLite and in JavaScript. */
const COLUMN_TYPES: Record<FieldKind, string> = {
  string: 'TEXT COLLATE "C"',
  richtext: 'TEXT COLLATE "C"',
  id: 'TEXT COLLATE "C"',
  datetime: "TIMESTAMPTZ",
  int: "BIGINT",
  bool: "BOOLEAN",
  float: "DOUBLE PRECISION",
  decimal: "NUMERIC",
  json: "JSON",
  array: "JSON",
};
const MAX_NAME = 63;

/** The time, with no more digits than JavaScript reads back. */
const SQL_NOW = "date_trunc('milliseconds', now())";

/**
 * Counts the shapes of BASE_DDL: raise it with each change of a statement. Where a newer shape is
 * in the database, an older server leaves it alone: while both run, each start of it would bring
 * back an index that the newer one replaced, and functions in the form that they had.
 */
export const BASE_GENERATION = 5;

/** What every Pylon database holds besides the app's tables. Each statement may be run again. */
export const BASE_DDL: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS "_pylon_meta" (key TEXT PRIMARY KEY, value TEXT NOT NULL)`,
  ...CHANGE_LOG_DDL,
  ...Object.values(SYSTEM_TABLES).flatMap(systemTable),
  ...CHANNEL_DDL,
];

function systemTable(table: SystemTable): string[] {
  const columns = [...table.fields]
    .filter(([name]) => name !== "id")
    .map(([name, kind]) => `${quote(name)} ${COLUMN_TYPES[kind]}`);
  return [
    `CREATE TABLE IF NOT EXISTS ${quote(table.name)} (id TEXT COLLATE "C" PRIMARY KEY)`,
    // One by one, because an older version may have made the table with fewer.
    ...columns.map(
      (column) => `ALTER TABLE ${quote(table.name)} ADD COLUMN IF NOT EXISTS ${column}`,
    ),
    ...systemIndexes(table),
  ];
}

/**
 * The statements that take one migration step. Constraints beyond the type and the unique indexes
 * are the schema's to hold.
 *
 * @param hasTrigrams the database finds words that are nearly those asked for
 */
export function ddlOf(
  step: Exclude<MigrationStep, { kind: "retype_column" | "convert_column" }>,
  hasTrigrams: boolean,
): string[] {
  switch (step.kind) {
    case "create_table": {
      const columns = ['id TEXT COLLATE "C" PRIMARY KEY', ...step.entity.fields.map(columnOf)];
      return [`CREATE TABLE ${quote(step.entity.name)} (${columns.join(", ")})`];
    }
    case "add_column":
      return addColumn(step.entity, step.field);
    case "backfill":
    case "compute":
      return [beginBackfill(step)];
    case "mend_dates": {
      // The values are right: Postgres itself reads a text as a moment. Its default is a fixed one.
      const { entity, field } = step;
      const change = field.default === undefined ? "DROP DEFAULT" : `SET${defaultOf(field)}`;
      return [`ALTER TABLE ${quote(entity)} ALTER COLUMN ${quote(field.name)} ${change}`];
    }
    case "create_index":
      return [createIndex(step.entity, step.index)];
    case "drop_index":
      return [`DROP INDEX IF EXISTS ${quote(indexName(step.entity, step.index))}`];
    case "build_search":
      return createSearch(step.entity, step.index, hasTrigrams);
    case "drop_search":
      return dropSearch(step.entity);
    case "drop_table":
      return [...dropSearch(step.entity), `DROP TABLE ${quote(step.entity)}`];
    case "drop_column":
      return [`ALTER TABLE ${quote(step.entity)} DROP COLUMN ${quote(step.field)}`];
  }
}

/**
 * A default that is one value is noted, and no row is written. One that differs from row to row
 * would write them all while nobody can read: it is for rows to come, and those that are there are
 * filled in later.
 */
function addColumn(entity: string, field: ManifestField): string[] {
  const table = quote(entity);
  if (fieldCodeOf(field)?.backfill === undefined && !defaultsToUuid(field))
    return [`ALTER TABLE ${table} ADD COLUMN ${columnOf(field)}`];
  const column = quote(field.name);
  return [
    `ALTER TABLE ${table} ADD COLUMN ${column} ${columnTypeOf(field)}`,
    ...(field.default === undefined
      ? []
      : [`ALTER TABLE ${table} ALTER COLUMN ${column} SET${defaultOf(field)}`]),
  ];
}

/** @param how.concurrently beside the writes of the table, and in no transaction */
export function createIndex(
  entity: string,
  { name, fields, unique }: ManifestIndex,
  { concurrently = false }: { readonly concurrently?: boolean } = {},
): string {
  const kind = `${unique ? "UNIQUE " : ""}INDEX${concurrently ? " CONCURRENTLY" : ""}`;
  const columns = fields.map(quote).join(", ");
  return `CREATE ${kind} ${quote(indexName(entity, name))} ON ${quote(entity)} (${columns})`;
}

/**
 * Index names are unique in a schema, in a manifest only within their entity; Postgres cuts long
 * names off.
 */
export function indexName(entity: string, index: string): string {
  const name = `${entity}.${index}`;
  return name.length <= MAX_NAME
    ? name
    : `${name.slice(0, MAX_NAME - 17)}.${hash("sha256", name, "hex").slice(0, 16)}`;
}

/** The type of the column that holds a field. */
export function columnTypeOf(field: ManifestField): string {
  return COLUMN_TYPES[kindOf(field.type)];
}

function columnOf(field: ManifestField): string {
  return `${quote(field.name)} ${columnTypeOf(field)}${defaultOf(field)}`;
}

/**
 * For rows that are there already, and those of a version of the app that does not know the field.
 * DDL takes no parameters, hence the literal.
 */
function defaultOf(field: ManifestField): string {
  if (field.default === undefined) return "";
  if (defaultsToUuid(field)) return " DEFAULT gen_random_uuid()::text";
  if (defaultsToNow(field)) return ` DEFAULT ${SQL_NOW}`;
  if (typeof field.default === "object")
    return ` DEFAULT '${JSON.stringify(field.default).replaceAll("'", "''")}'`;
  if (typeof field.default !== "string") return ` DEFAULT ${String(field.default)}`;
  return ` DEFAULT '${field.default.replaceAll("'", "''")}'`;
}
