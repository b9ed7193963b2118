import type { ManifestRelation } from "@pylonsync/sdk";

/** How the rows of a relation are found from a row. */
export interface RelationPath {
  /** The row's own field that leads to them. */
  readonly key: string;
  /** The field that must equal it: of the related rows, or of the joining rows. */
  readonly field: string;
  /** The rows that join the two. */
  readonly through: { readonly entity: string; readonly targetField: string } | null;
}

/** How the rows of a relation are found. */
export function pathOf({ field, many, through, targetField }: ManifestRelation): RelationPath {
  if (through !== undefined && targetField !== undefined)
    return { key: "id", field, through: { entity: through, targetField } };
  return many === true
    ? { key: "id", field, through: null }
    : { key: field, field: "id", through: null };
}
