import { hash } from "node:crypto";
import type { FieldKind } from "@pylonsync/query";
import { fieldCodeOf, type ManifestField, type ManifestIndex } from "@pylonsync/sdk";
import type { MigrationStep } from "../../schema/migration.ts";
import { defaultsToUuid } from "../../schema/generated-default.ts";
import { defaultsToNow } from "../../schema/datetime-defaults.ts";
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
  encrypted: "TEXT",
};
const MAX_NAME = 63;

/** The current time, with no more digits than JavaScript can parse. */
const SQL_NOW = "date_trunc('milliseconds', now())";

/**
 * The version of BASE_DDL: raise it with each change of a statement. If the database has a newer
 * version, an older server leaves it unchanged: while both run, each start of the older one would
 * otherwise restore an index that the newer one replaced, and the earlier versions of functions.
 */
export const BASE_GENERATION = 9;

/**
 * The tables of every Pylon database in addition to those of the app. Each statement may be run
 * again.
 */
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
    // Individually, because an older version may have created the table with fewer columns.
    ...columns.map(
      (column) => `ALTER TABLE ${quote(table.name)} ADD COLUMN IF NOT EXISTS ${column}`,
    ),
    ...systemIndexes(table),
  ];
}

/**
 * The statements of one migration step. Constraints beyond the types and the unique indexes are
 * enforced by the schema.
 *
 * @param hasTrigrams whether the database can find similar words
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
    case "repair_dates": {
      // The values are correct: Postgres parses a text as a time. But such a default is a fixed
      // time.
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
 * A constant default is only recorded, without writing rows. A default that differs from row to row
 * would rewrite all rows while the table is locked: it is set for later rows only, and existing
 * rows are filled in afterwards.
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

/** @param how.concurrently without blocking writes of the table, and outside of a transaction */
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
 * Names of indexes are unique in a schema, but only within their entity in a manifest; Postgres
 * truncates long names.
 */
export function indexName(entity: string, index: string): string {
  const name = `${entity}.${index}`;
  return name.length <= MAX_NAME
    ? name
    : `${name.slice(0, MAX_NAME - 17)}.${hash("sha256", name, "hex").slice(0, 16)}`;
}

/** The type of the column that stores a field. */
export function columnTypeOf(field: ManifestField): string {
  return COLUMN_TYPES[kindOf(field.type)];
}

function columnOf(field: ManifestField): string {
  return `${quote(field.name)} ${columnTypeOf(field)}${defaultOf(field)}`;
}

/**
 * The default for existing rows, and for rows of a version of the app that does not know the field.
 * DDL has no parameters, so the value is a literal.
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
