import type { EntityShape, FieldKind, SchemaShape } from "@pylonsync/query";
import type { Aggregate } from "./store.ts";

/**
 * The kind of value that `having` compares a number of an aggregate with. Sums, minima and maxima
 * of decimals are exact decimals; a mean is a float.
 */
export function resultKind(
  { fn, field }: Aggregate["measures"][number],
  shape: EntityShape,
): "decimal" | "float" {
  const isOfField = fn === "sum" || fn === "min" || fn === "max";
  return isOfField && shape.fields.get(field ?? "") === "decimal" ? "decimal" : "float";
}

/** The kind of the field by which rows are grouped. */
export function groupKind(
  { field, items, related }: Aggregate["groupBy"][number],
  entity: string,
  schema: SchemaShape,
): FieldKind | undefined {
  if (items !== undefined) return items;
  return schema.get(related?.entity ?? entity)?.fields.get(field);
}
