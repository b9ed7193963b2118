import type { SystemTable } from "../system-table.ts";
import { quote } from "./quote.ts";

/** The statements that create the indexes of a system table, the same for both databases. */
export function systemIndexes(table: SystemTable): string[] {
  return [
    ...table.indexed.flatMap((fields) => systemIndex(table, fields)),
    ...table.dropped.map((fields) => dropIndex(nameOf(table, fields))),
  ];
}

function systemIndex(table: SystemTable, fields: readonly string[]): string[] {
  const name = nameOf(table, fields);
  const on = `ON ${quote(table.name)} (${fields.map(quote).join(", ")})`;
  const [first] = fields;
  if (first === undefined || !table.sparse.has(fields))
    return [`CREATE INDEX IF NOT EXISTS ${quote(name)} ${on}`];
  return [
    `CREATE INDEX IF NOT EXISTS ${quote(`${name}_set`)} ${on} WHERE ${quote(first)} IS NOT NULL`,
    // In an older version it contained all rows.
    dropIndex(name),
  ];
}

function nameOf({ name }: SystemTable, fields: readonly string[]): string {
  return [name, ...fields].join("_");
}

function dropIndex(name: string): string {
  return `DROP INDEX IF EXISTS ${quote(name)}`;
}
