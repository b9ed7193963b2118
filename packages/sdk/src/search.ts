import type { ManifestSearch, SearchLanguage } from "./manifest.ts";
import { shown } from "./mistake.ts";

/** The searched fields: their names, or an object with the weight of a match in each. */
export type SearchFields = readonly string[] | Readonly<Record<string, number>>;

/**
 * The full-text search of an entity: its searched fields, facets and sortable fields.
 *
 * @example
 * const Article = entity("Article", { title: field.string(), body: field.string() }, {
 *   search: { fields: { title: 3, body: 1 }, sort: ["title"], language: "english" },
 * });
 */
export interface SearchOptions {
  /** The fields to search. The default weight is 1. */
  readonly fields?: SearchFields;
  /** The older name of `fields`. */
  readonly text?: SearchFields;
  /** The fields whose values are counted over all hits. */
  readonly facets?: readonly string[];
  /** The fields that hits may be sorted by; by default hits are sorted by rank. */
  readonly sort?: readonly string[];
  /** The older name of `sort`. */
  readonly sortable?: readonly string[];
  /** `"english"`: a word also matches its other forms. Default `"simple"`: exact words. */
  readonly language?: SearchLanguage;
  /** True: the last word of a query also matches as a prefix. */
  readonly prefix?: boolean;
  /** True: words also match with a typo. */
  readonly typos?: boolean;
}

/**
 * Returns the search in the form of the manifest. Unknown keys are kept, to be reported.
 *
 * @throws Error if a field list is given under both of its names
 */
export function toManifestSearch(entity: string, options: SearchOptions): ManifestSearch {
  const { fields, text, sort, sortable, facets = [], ...rest } = options;
  const chosen = oneOf(entity, { fields, text }) ?? [];
  const order = oneOf(entity, { sort, sortable }) ?? [];
  const base = { facets, sortable: order, ...rest };
  if (!isWeighted(chosen)) return { text: chosen, ...base };
  const weights = Object.entries(chosen).filter(([, weight]) => weight !== 1);
  return {
    text: Object.keys(chosen),
    ...base,
    ...(weights.length === 0 ? {} : { weights: Object.fromEntries(weights) }),
  };
}

function isWeighted(fields: SearchFields): fields is Readonly<Record<string, number>> {
  return typeof fields === "object" && fields !== null && !Array.isArray(fields);
}

function oneOf<T>(entity: string, names: Readonly<Record<string, T | undefined>>): T | undefined {
  const given = Object.entries(names).filter(([, value]) => value !== undefined);
  if (given.length > 1)
    throw new Error(
      `The search of ${entity} has ${Object.keys(names).join(" and ")}, which mean the same: ` +
        `write ${shown(Object.keys(names)[0])} alone.`,
    );
  return given[0]?.[1];
}
