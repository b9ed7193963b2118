import type { Manifest, ManifestEntity } from "@pylonsync/sdk";

/**
 * What a database says of itself: the manifest that it was last brought to, and what other versions
 * of the app left in it. Leftovers are kept, because a version that is rolled back may be rolled
 * forward again.
 */
export interface StoredManifest extends Manifest {
  /**
   * Entities that the manifest does not have, and of those that it has, the fields and indexes that
   * it does not have.
   */
  readonly leftovers?: readonly ManifestEntity[];
}

/** All entities that have a table, with all their columns. */
export function withLeftovers({
  entities,
  leftovers = [],
}: Pick<StoredManifest, "entities" | "leftovers">): readonly ManifestEntity[] {
  const left = new Map(leftovers.map((entity) => [entity.name, entity]));
  const declared = new Set(entities.map(({ name }) => name));
  return [
    ...entities.map((entity) => joined(entity, left.get(entity.name))),
    ...leftovers.filter(({ name }) => !declared.has(name)),
  ];
}

function joined(entity: ManifestEntity, left: ManifestEntity | undefined): ManifestEntity {
  return left === undefined
    ? entity
    : {
        ...entity,
        fields: [...entity.fields, ...left.fields],
        indexes: [...entity.indexes, ...left.indexes],
      };
}
