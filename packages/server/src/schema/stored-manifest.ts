import type { Manifest, ManifestEntity, ManifestField } from "@pylonsync/sdk";
import { defaultsToNow, withNormalDefault } from "./datetime-defaults.ts";
import { computedBy } from "./field-code.ts";
import { searchIndexesOf, type SearchIndex } from "./search-index.ts";

/**
 * A database's description of itself: the manifest of its latest migration, and what other versions
 * of the app left behind. Leftovers are kept, because a version that was rolled back may be rolled
 * forward again.
 */
export interface StoredManifest extends Manifest {
  /**
   * Entities that the manifest does not have, and for those that it has, the fields and indexes
   * missing from it.
   */
  readonly leftovers?: readonly ManifestEntity[];
  /**
   * The search indexes that the database has, by entity. A manifest stored by an older version of
   * Pylon has none, regardless of what its entities declare.
   */
  readonly search_indexes?: Readonly<Record<string, SearchIndex>>;
  /**
   * The entities and fields of the manifest have the names of the tables and columns. By entity:
   * where the database stores an entity that the app calls differently, since it was renamed.
   */
  readonly table_names?: Readonly<Record<string, TableName>>;
}

/**
 * The location of an entity in the database. A rename changes no table: the app's new name refers
 * to the table or column with the old name. So apps with either name can be served on the same
 * database at the same time, and interpret rows and changes alike.
 */
export interface TableName {
  readonly table: string;
  /** By field: its column, if it has another name. */
  readonly columns: Readonly<Record<string, string>>;
}

/** A field of a stored manifest. */
export interface StoredField extends ManifestField {
  /** The default `now` means the time of the write; an older version stored the word itself. */
  readonly default_is_time?: true;
  /** The id of the code that computed its values: see `computedBy`. */
  readonly computed_by?: string;
}

/**
 * Parses the stored manifest of a database. Only Pylon writes it, and it was valid when written.
 *
 * @param json null for a new database
 */
export function parseStoredManifest(json: string | null): StoredManifest | null {
  if (json === null) return null;
  const stored: StoredManifest = JSON.parse(json);
  return stored;
}

/** The manifest in the form in which a database stores it after a migration to it. */
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
 * may contain it in a form that differs from that of stored dates.
 */
export function hasRawDefault(field: StoredField): boolean {
  return defaultsToNow(field)
    ? field.default_is_time !== true
    : withNormalDefault(field).default !== field.default;
}

/** All entities that have a table, with all of their columns. */
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
