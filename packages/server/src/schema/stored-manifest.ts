import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { defaultsToNow, withNormalDefault } from "./mend-dates.ts";

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

/** A field of a stored manifest. */
export interface StoredField extends ManifestField {
  /** Its default `now` is the time of the write; an older version stored the word. */
  readonly default_is_time?: true;
}

/**
 * What a database keeps as its manifest, which only Pylon writes: it was valid then.
 *
 * @param json null for a new database
 */
export function parseStoredManifest(json: string | null): StoredManifest | null {
  if (json === null) return null;
  const stored: StoredManifest = JSON.parse(json);
  return stored;
}

/** The manifest as a database that was brought to it keeps it. */
export function toStored<M extends Pick<StoredManifest, "entities">>(manifest: M): M {
  return {
    ...manifest,
    entities: manifest.entities.map((entity) => ({
      ...entity,
      fields: entity.fields.map((field): StoredField => {
        const stored = withNormalDefault(field);
        return defaultsToNow(stored) ? { ...stored, default_is_time: true } : stored;
      }),
    })),
  };
}

/**
 * Whether an older version stored the field's default as the text that the app wrote, so that rows
 * may have it in another form than dates are stored in.
 */
export function hasRawDefault(field: StoredField): boolean {
  return defaultsToNow(field)
    ? field.default_is_time !== true
    : withNormalDefault(field).default !== field.default;
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
