import type { ManifestEntity, SearchLanguage } from "@pylonsync/sdk";

/** The definition of the index of an entity's search: if it changes, the index is built again. */
export interface SearchIndex {
  /** In the order of the index's columns. */
  readonly fields: readonly { readonly name: string; readonly weight: number }[];
  readonly language: SearchLanguage;
  /** Whether the last word may be the beginning of a word. */
  readonly prefix: boolean;
  /** Whether words similar to the searched ones match, too. */
  readonly typos: boolean;
}

/**
 * The maximum number of characters of a row in its index: a tsvector in Postgres holds at most 1
 * MiB.
 */
export const MAX_INDEXED_CHARACTERS = 100_000;

/** The index that the search of an entity needs; undefined if it covers no text. */
export function searchIndexOf({ search }: ManifestEntity): SearchIndex | undefined {
  if (search === undefined || search.text.length === 0) return undefined;
  const { text, weights = {}, language = "simple", prefix = false, typos = false } = search;
  return {
    fields: text.map((name) => ({
      name,
      weight: Object.hasOwn(weights, name) ? (weights[name] ?? 1) : 1,
    })),
    language,
    prefix,
    typos,
  };
}

/** The indexes of all searches, by entity. */
export function searchIndexesOf(
  entities: readonly ManifestEntity[],
): Readonly<Record<string, SearchIndex>> {
  return Object.fromEntries(
    entities.flatMap((entity) => {
      const index = searchIndexOf(entity);
      return index === undefined ? [] : [[entity.name, index]];
    }),
  );
}

/** The number of characters of each of its fields that an index contains. */
export function indexedCharacters({ fields }: SearchIndex): number {
  return Math.floor(MAX_INDEXED_CHARACTERS / fields.length);
}

/** Whether two definitions result in the same index. */
export function isSameSearchIndex(a: SearchIndex, b: SearchIndex): boolean {
  const plain = ({ fields, language, prefix, typos }: SearchIndex): string =>
    JSON.stringify([fields.map(({ name, weight }) => [name, weight]), language, prefix, typos]);
  return plain(a) === plain(b);
}
