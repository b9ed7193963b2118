import type { ManifestEntity, SearchLanguage } from "@pylonsync/sdk";

/** What the index of an entity's search is made of: a change of it makes the index again. */
export interface SearchIndex {
  /** In the order of the index's columns. */
  readonly fields: readonly { readonly name: string; readonly weight: number }[];
  readonly language: SearchLanguage;
  /** The last word may be the beginning of one. */
  readonly prefix: boolean;
  /** Words that are nearly those asked for are found too. */
  readonly typos: boolean;
}

/** Most characters of a row that its index holds: a Postgres index holds at most 1 MiB of words. */
export const MAX_INDEXED_CHARACTERS = 100_000;

/** The index that the search of an entity needs; undefined where it looks into no text. */
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

/** The indexes of all searches, by their entities. */
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

/** How many characters of each of its fields an index holds. */
export function indexedCharacters({ fields }: SearchIndex): number {
  return Math.floor(MAX_INDEXED_CHARACTERS / fields.length);
}

/** Whether two definitions make the same index. */
export function isSameSearchIndex(a: SearchIndex, b: SearchIndex): boolean {
  const plain = ({ fields, language, prefix, typos }: SearchIndex): string =>
    JSON.stringify([fields.map(({ name, weight }) => [name, weight]), language, prefix, typos]);
  return plain(a) === plain(b);
}
