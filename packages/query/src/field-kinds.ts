const SCALAR_KINDS = [
  "string",
  "int",
  "float",
  "decimal",
  "bool",
  "datetime",
  "richtext",
  "id",
] as const;
/** Kinds of composite values, which as a whole can only be compared with null. */
const NESTED_KINDS = ["json", "array"] as const;
/** A text that the store holds encrypted: it can only be compared with null. */
const ENCRYPTED = "encrypted";
const FIELD_KINDS = [...SCALAR_KINDS, ...NESTED_KINDS, ENCRYPTED] as const;
/** The kind of a field, as far as the tree needs it. */
export type FieldKind = (typeof FIELD_KINDS)[number];
/** The kinds whose values can be compared and ordered. */
export type ScalarKind = (typeof SCALAR_KINDS)[number];
/** The kinds whose values are JSON objects and lists. */
export type NestedKind = (typeof NESTED_KINDS)[number];

/** Whether values of the kind can be compared and ordered. */
export function isScalarKind(kind: string): kind is ScalarKind {
  return SCALAR_KINDS.some((name) => name === kind);
}

/** Whether values of the kind are JSON objects or lists. */
export function isNestedKind(kind: FieldKind): kind is NestedKind {
  return NESTED_KINDS.some((name) => name === kind);
}

/** Whether the name is a kind of field that this version knows. */
export function isFieldKind(name: string): name is FieldKind {
  return FIELD_KINDS.some((kind) => kind === name);
}
