import type { FieldKind } from "@pylonsync/query";

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

/** The entity in `id(User)`. */
export function targetOf(type: string): string | undefined {
  return /^id\((.*)\)$/.exec(type)?.[1];
}
