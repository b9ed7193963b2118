import type {
  AggregateOptions,
  EntityName,
  IncludeOf,
  RegisteredEntities,
  RegisteredServerFilters,
  RelatedFieldName,
} from "@pylonsync/sdk";

/** The name of a field of the entity, or `id`. */
type FieldName<E extends EntityName> = keyof RegisteredEntities[E] & string;
/** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
type OrderOf<E extends EntityName> = { readonly [F in FieldName<E>]?: Direction };
/** One key of an order in the form of a list; anything if no app is registered. */
type OrderItem<E extends EntityName> =
  string extends FieldName<E> ? unknown : OrderOf<E> | readonly [FieldName<E>, Direction];
type Direction = "asc" | "desc" | "ASC" | "DESC";

/**
 * A filter: `{done: false, title: {$like: "milk"}, $order: {createdAt: "desc"}, $limit: 20}`. See
 * docs/queries.md.
 */
export type Filter = Readonly<Record<string, unknown>>;

/** A filter over the rows of one entity, with an order, a limit and an offset. */
export type FilterOn<E extends EntityName> = RegisteredServerFilters[E] & {
  readonly $order?: OrderOf<E> | readonly OrderItem<E>[];
  readonly $limit?: number;
  readonly $offset?: number;
  /** Full-text search, if the entity declares a search; results are sorted by rank. */
  readonly $search?: string;
};

/**
 * The options of `ctx.db.aggregate`: counts, sums, averages, minima and maxima of fields, over all
 * rows that match `where`, or per group.
 */
export type AggregateSpec<E extends EntityName = never> = [E] extends [never]
  ? AggregateOptions<string, Filter>
  : AggregateOptions<
      FieldName<E>,
      RegisteredServerFilters[E],
      RelatedFieldName<E, RegisteredEntities>
    >;

/** The options of `ctx.db.search`. */
export interface SearchSpec<E extends EntityName = EntityName> {
  /** The words to search for, all of which must match. Without it all rows match. */
  readonly query?: string;
  /** A filter as for queries: `{brand: "x", price: {$lt: 100}}`. */
  readonly filters?: RegisteredServerFilters[E];
  /** The facets to count; default: all declared facets. */
  readonly facets?: readonly FieldName<E>[];
  /** A declared sort field and the direction; default: by rank. */
  readonly sort?: readonly [field: FieldName<E>, direction: "asc" | "desc"];
  /** The page number, from 0. */
  readonly page?: number;
  /** The number of hits per page, from 1 to 100; default 20. */
  readonly pageSize?: number;
  /** True: also returns the positions of the words in each hit. */
  readonly highlight?: boolean;
}

/** The result of `ctx.db.search`. */
export interface SearchResult<R> {
  readonly hits: R[];
  /** The number of hits per value of each facet, without the filter on the facet itself. */
  readonly facetCounts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The number of matching rows on all pages. */
  readonly total: number;
  /** For each hit, by field: an excerpt, and the positions of the words in it. */
  readonly highlights?: readonly Readonly<
    Record<
      string,
      {
        readonly text: string;
        readonly marks: readonly (readonly [start: number, end: number])[];
      }
    >
  >[];
  /** The duration in milliseconds. */
  readonly tookMs: number;
}

/** The entities to read by `ctx.db.queryGraph`, each with a filter and related rows. */
export type GraphQuery = {
  readonly [E in EntityName]?: {
    readonly where?: RegisteredServerFilters[E];
    readonly order?: { readonly [F in FieldName<E>]?: "asc" | "desc" };
    readonly include?: IncludeOf<E, "server">;
    readonly limit?: number;
  };
};

/** A page of rows, with the cursors of the next and previous pages. */
export interface PageOf<R> {
  readonly page: R[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
  /** Null on the first page. */
  readonly prevCursor: string | null;
  readonly isDone: boolean;
}

/** The options of `ctx.db.paginate`. */
export interface PageOptions<E extends EntityName> {
  readonly where?: RegisteredServerFilters[E];
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly order?: {
    readonly [F in keyof RegisteredEntities[E] & string]?: "asc" | "desc";
  };
  /** `nextCursor` or `prevCursor` of another page of the same query; null for the first page. */
  readonly cursor?: string | null;
  /** The number of rows per page, from 1 to 1000; default 100. */
  readonly limit?: number;
  /** The older name of `limit`; values outside 1 to 1000 are clamped. */
  readonly numItems?: number;
}
