import { MAX_FACET_VALUES, MAX_SEARCH_PAGE, PylonError } from "@pylonsync/protocol";
import { columnKind, type Order } from "@pylonsync/query";
import type { Entity } from "../schema/schema.ts";
import type { TextSearch } from "../store/store.ts";
import { isRecord } from "../util/is-record.ts";
import { searchedWords } from "./search-words.ts";

const KEYS = [
  "query",
  "filters",
  "facets",
  "sort",
  "page",
  "pageSize",
  "page_size",
  "highlight",
] as const;
const PAGE_SIZE = 20;
/** The keys of a filter that are not conditions, and that a search has elsewhere. */
const SEPARATE = ["$order", "$limit", "$offset", "$search"];

/** A parsed search. */
export interface SearchRequest {
  /** Undefined: all rows. Null: the text contains no word, so no row matches. */
  readonly search: TextSearch | undefined | null;
  readonly filters: Readonly<Record<string, unknown>>;
  readonly facets: readonly string[];
  readonly order: readonly Order[];
  readonly offset: number;
  readonly limit: number;
  readonly hasHighlights: boolean;
}

/** The maximum number of values per facet in a response. */
export const FACET_VALUES = MAX_FACET_VALUES;

/**
 * Checks the body of `POST /api/search/E`.
 *
 * @throws PylonError SEARCH_NOT_CONFIGURED, INVALID_QUERY
 */
export function parseSearch(entity: Entity, spec: unknown): SearchRequest {
  if (entity.search === undefined) throw notConfigured(entity);
  if (!isRecord(spec)) throw invalid("", "A search must be an object.", "Send {} for all rows.");
  const unknown = Object.keys(spec).find((key) => !KEYS.some((known) => known === key));
  if (unknown !== undefined)
    throw invalid(
      unknown.slice(0, 80),
      `A search has no option "${unknown.slice(0, 80)}".`,
      `Use ${KEYS.join(", ")}.`,
    );
  const { query, filters, facets, sort, page, highlight = false } = spec;
  const limit = pageSizeOf(spec["pageSize"] ?? spec["page_size"] ?? PAGE_SIZE);
  if (typeof highlight !== "boolean")
    throw invalid("highlight", '"highlight" must be true or false.');
  return {
    search: textOf(entity, query),
    filters: filtersOf(filters),
    facets: facetsOf(entity.name, entity.search.facets, facets),
    order: orderOf(entity, sort),
    offset: offsetOf(page, limit),
    limit,
    hasHighlights: highlight,
  };
}

/**
 * Returns the search for the words of a text.
 *
 * @param field the caller's name for the text
 * @returns undefined if no text is given, null if it contains no word
 * @throws PylonError SEARCH_NOT_CONFIGURED, INVALID_QUERY
 */
export function textSearch(
  entity: Entity,
  text: string,
  field: string,
): TextSearch | undefined | null {
  if (entity.search === undefined) throw notConfigured(entity);
  const words = searchedWords(text, field);
  if (text.trim() === "") return undefined;
  if (words.length === 0) return null;
  if (entity.searchIndex === undefined)
    throw invalid(
      field,
      `The search of ${entity.name} has no text fields.`,
      "Name its text fields in app.ts: search: { fields: [...] }.",
    );
  return { index: entity.searchIndex, words };
}

function textOf(entity: Entity, query: unknown): TextSearch | undefined | null {
  if (query === undefined || query === null) return undefined;
  if (typeof query !== "string") throw invalid("query", '"query" must be a string.');
  return textSearch(entity, query, "query");
}

function filtersOf(filters: unknown): Readonly<Record<string, unknown>> {
  if (filters === undefined || filters === null) return {};
  if (!isRecord(filters))
    throw invalid("filters", '"filters" must be a filter such as {brand: "x"}.');
  const separate = SEPARATE.find((key) => Object.hasOwn(filters, key));
  if (separate !== undefined)
    throw invalid(
      `filters.${separate}`,
      `"filters" does not support "${separate}".`,
      "Put query, sort, page and pageSize next to it.",
    );
  return filters;
}

function facetsOf(entity: string, declared: readonly string[], facets: unknown): string[] {
  if (facets === undefined || facets === null) return [...declared];
  if (!Array.isArray(facets)) throw invalid("facets", '"facets" must be a list of fields.');
  const names = facets.map((facet: unknown, at) => {
    if (typeof facet === "string" && declared.includes(facet)) return facet;
    const shown = typeof facet === "string" ? `"${facet.slice(0, 80)}"` : "This";
    throw invalid(
      `facets[${at}]`,
      `${shown} is not a facet of ${entity}.`,
      declared.length === 0 ? "It has no facets." : `Its facets: ${declared.join(", ")}.`,
    );
  });
  return [...new Set(names)];
}

/**
 * A sort by a field that is not declared for it has no effect, because clients rely on that.
 *
 * @throws QueryError INVALID_COLUMN for a field that the caller may not read
 */
function orderOf({ search, publicShape }: Entity, sort: unknown): Order[] {
  if (sort === undefined || sort === null) return [];
  const [field, direction = "asc", ...rest]: unknown[] = Array.isArray(sort) ? sort : [];
  if (typeof field !== "string" || rest.length > 0 || !isDirection(direction))
    throw invalid("sort", '"sort" must be [field, "asc"] or [field, "desc"].');
  if (search?.sortable.includes(field) === true) return [{ field, direction }];
  // A field that a policy hides is rejected as it is elsewhere.
  if (publicShape.hintFor?.(field) !== undefined) columnKind(publicShape, field, "sort");
  return [];
}

function isDirection(value: unknown): value is "asc" | "desc" {
  return value === "asc" || value === "desc";
}

function pageSizeOf(size: unknown): number {
  if (typeof size !== "number" || !Number.isInteger(size))
    throw invalid("pageSize", `"pageSize" must be a whole number from 1 to ${MAX_SEARCH_PAGE}.`);
  return Math.min(MAX_SEARCH_PAGE, Math.max(1, size));
}

function offsetOf(page: unknown, size: number): number {
  if (page === undefined || page === null) return 0;
  if (typeof page === "number" && Number.isSafeInteger(page * size) && Number.isInteger(page))
    if (page >= 0) return page * size;
  throw invalid("page", '"page" must be a whole number of at least 0.');
}

function notConfigured({ name }: Entity): PylonError {
  return new PylonError("SEARCH_NOT_CONFIGURED", `${name} has no search.`, {
    field: "entity",
    hint: `Declare it in app.ts: entity("${name}", { ... }, { search: { fields: [...] } }).`,
  });
}

function invalid(field: string, message: string, hint?: string): PylonError {
  return new PylonError("INVALID_QUERY", message, {
    field,
    ...(hint === undefined ? {} : { hint }),
  });
}
