import type { ReplicaSchemaMessage } from "./pull.ts";

/** How the rows of a relation are found from a row. */
export interface RelationKind {
  /** The relation holds a list, and not one row. */
  readonly isMany: boolean;
  /** Null: the caller may read no such rows. */
  readonly rows: {
    readonly entity: string;
    /** The row's own field that leads to them. */
    readonly key: string;
    /** The field that equals it: of the related rows, or of those that join them. */
    readonly field: string;
    readonly through: { readonly entity: string; readonly targetField: string } | null;
  } | null;
}

/**
 * A relation as it stands among the kinds of an entity's fields in a `ReplicaSchemaMessage`, where
 * a client that does not know relations takes it for a kind of field that it does not know.
 */
export function encodeRelation({ isMany, rows }: RelationKind): string {
  const { entity, key, field, through } = rows ?? { entity: "", key: "", field: "", through: null };
  const { entity: between, targetField } = through ?? { entity: "", targetField: "" };
  return [isMany ? "many" : "one", entity, key, field, between, targetField].join(":");
}

/** The relation that an entity has by this name; null when it has none, or no server has told. */
export function relationIn(
  schema: ReplicaSchemaMessage,
  entity: string,
  name: string,
): RelationKind | null {
  const kinds = Object.hasOwn(schema, entity) ? schema[entity] : undefined;
  const text = kinds !== undefined && Object.hasOwn(kinds, name) ? kinds[name] : undefined;
  const [kind, target = "", key = "", field = "", between = "", targetField = ""] =
    text?.split(":") ?? [];
  if (kind !== "one" && kind !== "many") return null;
  const isMany = kind === "many";
  if (target === "") return { isMany, rows: null };
  const through = between === "" ? null : { entity: between, targetField };
  return { isMany, rows: { entity: target, key, field, through } };
}
