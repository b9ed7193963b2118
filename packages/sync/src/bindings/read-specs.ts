import type {
  AggregateOptions,
  AggregateResult,
  EntityFilter,
  EntityName,
  NameFor,
  RegisteredClientFilters,
  RegisteredRows,
  RelatedFieldName,
} from "@pylonsync/sdk";
import type { ArgumentIn, FrameworkTypes, StateIn } from "./hook-types.ts";

/**
 * The options of `useAggregate`: counts, sums, averages, minima and maxima of fields over the rows
 * that the caller may read and that match `where`, in total or per group.
 */
export type AggregateSpec = AggregateOptions<string, Readonly<Record<string, unknown>>>;

/** `AggregateSpec` for a registered entity. */
export type EntityAggregateSpec<E extends EntityName> = AggregateOptions<
  keyof RegisteredRows[E] & string,
  RegisteredClientFilters[E],
  RelatedFieldName<E, RegisteredRows>
>;

/** The aggregates of a group, or of all rows, as `POST /api/aggregate/ENTITY` returns them. */
export type AggregateRow = Readonly<Record<string, string | number | boolean | null>>;

/** The options of `useSearch`. Only rows that the caller may read are searched. */
export interface SearchSpec {
  /** The words to search for, all of which must match. Without it all rows match. */
  readonly query?: string | undefined;
  /** A filter like the `where` of a query: `{brand: "x", price: {$lt: 100}}`. */
  readonly filters?: Readonly<Record<string, unknown>> | undefined;
  /** The facets to count; default: all declared facets. */
  readonly facets?: readonly string[] | undefined;
  /** A declared sort field and the direction; default: by rank. */
  readonly sort?: readonly [field: string, direction: "asc" | "desc"] | undefined;
  /** The page number, from 0. */
  readonly page?: number | undefined;
  /** The number of hits per page, from 1 to 100; default 20. */
  readonly pageSize?: number | undefined;
  /** True: also returns the positions of the words in each hit. */
  readonly highlight?: boolean | undefined;
}

/** `SearchSpec` for a registered entity. */
export interface EntitySearchSpec<E extends EntityName> extends Omit<
  SearchSpec,
  "filters" | "facets" | "sort"
> {
  readonly filters?: EntityFilter<E> | undefined;
  readonly facets?: readonly (keyof RegisteredRows[E] & string)[] | undefined;
  readonly sort?:
    | readonly [field: keyof RegisteredRows[E] & string, direction: "asc" | "desc"]
    | undefined;
}

/** An excerpt of a text, with the positions of the matched words: start and end, in characters. */
export interface SearchHighlight {
  readonly text: string;
  readonly marks: readonly (readonly [start: number, end: number])[];
}

/** The state of an aggregate. */
export interface AggregateState<R> {
  /** The results; null before the first response. They are shared: do not modify them. */
  readonly data: readonly R[] | null;
  /** True until the first response or error. */
  readonly loading: boolean;
  /** The error of the last attempt, if `data` could not be updated. */
  readonly error: Error | null;
}

/** The state of a search. */
export interface SearchState<T> {
  /** The hits of the page, shared with others: do not modify them. */
  readonly hits: readonly T[];
  /** The number of hits per value of each facet, without the filter on the facet itself. */
  readonly facetCounts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The number of matching rows on all pages. */
  readonly total: number;
  /** One entry per hit, by field; empty without `highlight`. */
  readonly highlights: readonly Readonly<Record<string, SearchHighlight>>[];
  /** The duration on the server in milliseconds, of the first response with these hits. */
  readonly tookMs: number;
  /** True until the first response or error. */
  readonly loading: boolean;
  /** The error of the last attempt, if the hits could not be updated. */
  readonly error: Error | null;
}

/** The function that `useAggregate` and `useSearch` return beside their state. */
export interface ReadActions {
  /** Reads again now; rarely needed, because the result is live. */
  readonly refresh: () => void;
}

/** The signatures of `useAggregate`. */
export interface AggregateHook<W extends FrameworkTypes> {
  /** With an explicit type for the result's rows. */
  <R = never>(
    entity: NameFor<R>,
    spec: ArgumentIn<W, AggregateSpec>,
  ): StateIn<W, AggregateState<R>> & ReadActions;
  /** Counts and sums, computed by the server, live. */
  <E extends EntityName, const S extends EntityAggregateSpec<E>>(
    entity: E,
    spec: ArgumentIn<W, S & EntityAggregateSpec<E>>,
  ): StateIn<W, AggregateState<AggregateResult<RegisteredRows[E], S>>> & ReadActions;
}

/** The signatures of `useSearch`. */
export interface SearchHook<W extends FrameworkTypes> {
  /** With an explicit row type in place of the registered one. */
  <T = never>(
    entity: NameFor<T>,
    spec: ArgumentIn<W, SearchSpec>,
  ): StateIn<W, SearchState<T>> & ReadActions;
  /** A search on the server, live. */
  <E extends EntityName>(
    entity: E,
    spec: ArgumentIn<W, EntitySearchSpec<E>>,
  ): StateIn<W, SearchState<RegisteredRows[E]>> & ReadActions;
}
