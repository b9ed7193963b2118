import { isScalarKind, type FieldKind, type ScalarKind } from "@pylonsync/query";
import type { ManifestField } from "@pylonsync/sdk";

/** The names of the field types, without `id(Entity)`. */
export const FIELD_TYPES = [
  "string",
  "int",
  "float",
  "decimal",
  "bool",
  "datetime",
  "richtext",
  "file",
  "json",
  "array",
  "encrypted",
];

/** The kind of a manifest's field type: `id(User)` and `file` are `id`. */
export function kindOf(type: string): FieldKind {
  return type.startsWith("id(") || type === "file" ? "id" : (type as FieldKind);
}

/** The kind of the items of an array field. */
export function itemKindOf({ items }: Pick<ManifestField, "items">): ScalarKind | undefined {
  const kind = items === undefined ? undefined : kindOf(items.type);
  return kind !== undefined && isScalarKind(kind) ? kind : undefined;
}

/** The entity in `id(User)`. */
export function targetOf(type: string): string | undefined {
  return /^id\((.*)\)$/.exec(type)?.[1];
}
