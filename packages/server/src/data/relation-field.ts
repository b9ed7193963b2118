import { PylonError } from "@pylonsync/protocol";
import type { Entity } from "../schema/schema.ts";

/**
 * Returns the field that holds the id of the related row of a to-one relation.
 *
 * @throws PylonError RELATION_NOT_FOUND
 */
export function oneFieldOf(entity: Entity, relationName: string): string {
  const relation = entity.relations.get(relationName);
  if (relation !== undefined && relation.many !== true) return relation.field;
  throw new PylonError(
    "RELATION_NOT_FOUND",
    `${entity.name} has no relation "${relationName}" that holds one row.`,
    {
      field: "relation",
      hint: `Its relations: ${[...entity.relations.keys()].join(", ") || "none"}.`,
    },
  );
}
