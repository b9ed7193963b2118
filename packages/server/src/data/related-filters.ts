import { columnKind, type EntityShape, type Expr, type Relations } from "@pylonsync/query";
import type { ManifestRelation } from "@pylonsync/sdk";
import type { Entity } from "../schema/schema.ts";
import type { IncludePath } from "./include.ts";

/** The entities, fields and rows that a caller's filters on related rows may use. */
export interface RelatedSource {
  /** @throws PylonError ENTITY_NOT_FOUND */
  entity(name: string): Entity;
  /** The fields that filters may use. */
  shape(entity: Entity): EntityShape;
  /** The condition that is true for rows that may be read. */
  readable(entity: Entity): Expr;
  /**
   * @throws QueryError INVALID_COLUMN if it uses a field that filters may not use
   * @throws PylonError INSUFFICIENT_SCOPE
   */
  pathOf(relation: ManifestRelation, at: string): IncludePath;
}

/**
 * Returns the relations that a filter may use. Filters match only related rows that the caller may
 * read, by the fields that `source` allows.
 */
export function relationsOf(owner: Entity, source: RelatedSource): Relations {
  return (name, at) => {
    const relation = owner.relations.get(name);
    if (relation === undefined) return undefined;
    const target = source.entity(relation.target);
    const { key, field, through } = source.pathOf(relation, at);
    columnKind(source.shape(owner), key, at);
    const related = {
      entity: source.shape(target),
      readable: source.readable(target),
      relations: relationsOf(target, source),
    };
    if (through === null) return { ...related, key, field };
    const { entity, targetField } = through;
    return {
      ...related,
      key: targetField,
      field: "id",
      through: { entity: entity.name, field, readable: source.readable(entity) },
    };
  };
}
