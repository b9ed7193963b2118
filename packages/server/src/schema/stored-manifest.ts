import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { defaultsToNow, withNormalDefault } from "./mend-dates.ts";
import { computedBy } from "./field-code.ts";
import { searchIndexesOf, type SearchIndex } from "./search-index.ts";

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
  /**
   * The indexes of searches that the database has, by their entities. What an older version of
   * Pylon stored has none, whatever its entities declare.
   */
  readonly search_indexes?: Readonly<Record<string, SearchIndex>>;
  /**
   * Its entities and fields are named as the tables and columns are. By entity: where the database
   * keeps what an app calls otherwise, since it was renamed.
   */
  readonly table_names?: Readonly<Record<string, TableName>>;
}

/**
 * Where an entity is in the database. A rename changes no table: the app's new name stands for the
 * table or column of the old one. So apps of either name are served on the same database at the
 * same time, and rows and changes mean the same to both.
 */
export interface TableName {
  readonly table: string;
  /** By field: its column, where that has another name. */
  readonly columns: Readonly<Record<string, string>>;
}

/** A field of a stored manifest. */
export interface StoredField extends ManifestField {
  /** Its default `now` is the time of the write; an older version stored the word. */
  readonly default_is_time?: true;
  /** By which code its values were computed: see `computedBy`. */
  readonly computed_by?: string;
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
export function toStored<M extends Pick<StoredManifest, "entities">>(
  manifest: M,
): M & Pick<StoredManifest, "search_indexes"> {
  const indexes = searchIndexesOf(manifest.entities);
  return {
    ...manifest,
    ...(Object.keys(indexes).length === 0 ? {} : { search_indexes: indexes }),
    entities: manifest.entities.map((entity) => ({
      ...entity,
      fields: entity.fields.map((field): StoredField => {
        const stored = withNormalDefault(field);
        const code = computedBy(field);
        return {
          ...stored,
          ...(defaultsToNow(stored) ? { default_is_time: true } : {}),
          ...(code === undefined ? {} : { computed_by: code }),
        };
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
