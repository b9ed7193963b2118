import { MAX_RESULT_BYTES } from "@pylonsync/protocol";
import { and, literal, path, type Expr } from "@pylonsync/query";
import type { Entity } from "../schema/schema.ts";
import { isFull } from "../store/row-size.ts";
import type { Found, Reader, Select, StoredRow, TextSearch } from "../store/store.ts";
import { FACET_VALUES, type SearchRequest } from "./parse-search.ts";
import { resultTooLarge } from "./result-size.ts";
import { highlightsOf, type Highlights } from "./search-highlights.ts";

/** The response of a search. */
export interface SearchAnswer {
  readonly hits: StoredRow[];
  /** For each facet the number of hits per value, without the filter on the facet itself. */
  readonly facetCounts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The number of all matching rows, on all pages. */
  readonly total: number;
  /** The places of the words in each hit, if requested. */
  readonly highlights?: Highlights[];
  /** Milliseconds. */
  readonly tookMs: number;
}

/** What a search depends on. */
export interface SearchParts {
  readonly reader: Reader;
  readonly entity: Entity;
  /** The condition of a filter combined with the caller's read policy. */
  readonly where: (filters: Readonly<Record<string, unknown>>) => Expr;
  /** The rows with only the fields that the caller may read. */
  readonly visible: (rows: StoredRow[]) => StoredRow[];
  readonly isBounded: boolean;
  /** Milliseconds, for measuring. */
  readonly monotonic: () => number;
}

/** @throws PylonError RESULT_TOO_LARGE, INVALID_QUERY, INVALID_COLUMN */
export async function runSearch(parts: SearchParts, request: SearchRequest): Promise<SearchAnswer> {
  const startedAt = parts.monotonic();
  const { search, filters, facets } = request;
  const where = parts.where(filters);
  const tookMs = (): number => Math.round((parts.monotonic() - startedAt) * 100) / 100;
  if (search === null) {
    const facetCounts = Object.fromEntries(facets.map((facet) => [facet, {}]));
    const none = request.hasHighlights ? { highlights: [] } : {};
    return { hits: [], facetCounts, total: 0, ...none, tookMs: tookMs() };
  }
  const { rows: hits, total } = await pageOf(parts, { ...request, search }, where);
  const counts: [string, Record<string, number>][] = [];
  for (const facet of facets) counts.push([facet, await facetOf(parts, filters, search, facet)]);
  return {
    hits: parts.visible(hits),
    facetCounts: Object.fromEntries(counts),
    total,
    ...(request.hasHighlights ? { highlights: highlightsOf(hits, search) } : {}),
    tookMs: tookMs(),
  };
}

async function pageOf(
  { reader, entity, isBounded }: SearchParts,
  { search, order, limit, offset }: SearchRequest & { readonly search: TextSearch | undefined },
  where: Expr,
): Promise<Found> {
  const maxBytes = isBounded ? MAX_RESULT_BYTES : undefined;
  const query = { entity: entity.name, where, order, limit, offset, maxBytes };
  const { rows, total } =
    search === undefined ? await listed(reader, query) : await reader.search({ ...query, search });
  if (maxBytes !== undefined && isFull(rows, maxBytes)) throw resultTooLarge();
  return { rows, total };
}

/** Lists all rows, if no words are given. A page that is not full is the last one. */
async function listed(
  reader: Reader,
  query: Select & { readonly limit: number; readonly offset: number },
): Promise<Found> {
  const { entity, where, limit, offset } = query;
  const rows = await reader.select(query);
  const isLast = rows.length < limit && (rows.length > 0 || offset === 0);
  return { rows, total: isLast ? offset + rows.length : await reader.count(entity, where) };
}

async function facetOf(
  { reader, entity, where }: SearchParts,
  filters: Readonly<Record<string, unknown>>,
  search: TextSearch | undefined,
  facet: string,
): Promise<Record<string, number>> {
  const { [facet]: _own, ...others } = filters;
  const hasValue: Expr = {
    kind: "compare",
    op: "!=",
    left: path("data", facet),
    right: literal(null),
  };
  const groups = await reader.aggregate({
    entity: entity.name,
    where: and(where(others), hasValue),
    search,
    groupBy: [{ field: facet, items: entity.shape.items?.get(facet), as: "value" }],
    measures: [{ fn: "count", as: "count" }],
    order: [{ field: "count", direction: "desc" }],
    limit: FACET_VALUES,
  });
  return Object.fromEntries(groups.map(({ value, count }) => [String(value), Number(count)]));
}
