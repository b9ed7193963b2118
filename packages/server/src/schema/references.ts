import { and, literal, not, path, type Expr } from "@pylonsync/query";
import type { ManifestEntity, OnDelete } from "@pylonsync/sdk";
import { targetOf } from "./field-kind.ts";

/** A field whose value must be the id of an existing row. */
export interface Reference {
  /** The entity that has the field. */
  readonly entity: string;
  readonly field: string;
  /** The entity of the row that the id refers to. */
  readonly target: string;
  /** What happens to a row when the row that it refers to is deleted. */
  readonly onDelete: OnDelete;
}

/** The references that are checked; a field without `on_delete` may contain any id. */
export function referencesOf(entities: readonly ManifestEntity[]): Reference[] {
  return entities.flatMap(({ name: entity, fields }) =>
    fields.flatMap(({ name: field, type, on_delete: onDelete }) => {
      const target = targetOf(type);
      return target === undefined || onDelete === undefined
        ? []
        : [{ entity, field, target, onDelete }];
    }),
  );
}

/** The condition for the rows of the reference's entity that refer to the row with this id. */
export function refersTo({ field }: Pick<Reference, "field">, id: string): Expr {
  return { kind: "compare", op: "==", left: path("data", field), right: literal(id) };
}

/** The condition for the rows of the reference's entity that refer to a row that does not exist. */
export function isOrphan({ field, target }: Pick<Reference, "field" | "target">): Expr {
  const own = path("data", field);
  return and(
    { kind: "compare", op: "!=", left: own, right: literal(null) },
    not({
      kind: "exists",
      entity: target,
      where: { kind: "compare", op: "==", left: path("related", "id"), right: own },
    }),
  );
}

/**
 * Sorts entities so that the rows of all of them can be deleted in this order: an entity that
 * refers to another comes before it. In a cycle the order is arbitrary.
 */
export function referrersFirst<E extends { readonly references: readonly Reference[] }>(
  entities: readonly E[],
  nameOf: (entity: E) => string,
): E[] {
  const byName = new Map(entities.map((entity) => [nameOf(entity), entity]));
  const sorted = new Set<E>();
  const visiting = new Set<E>();
  const visit = (entity: E): void => {
    if (sorted.has(entity) || visiting.has(entity)) return;
    visiting.add(entity);
    for (const { target } of entity.references) {
      const other = byName.get(target);
      if (other !== undefined) visit(other);
    }
    visiting.delete(entity);
    sorted.add(entity);
  };
  for (const entity of entities.toReversed()) visit(entity);
  return [...sorted].toReversed();
}
