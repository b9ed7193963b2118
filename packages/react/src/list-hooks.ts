import type {
  AggregateResult,
  EntityName,
  Included,
  IncludeOf,
  RegisteredRows,
} from "@pylonsync/sdk";
import {
  useAggregate,
  type AggregateSpec,
  type EntityAggregateSpec,
  type UseAggregateReturn,
} from "./aggregates.ts";
import {
  useInfiniteQuery,
  usePaginatedQuery,
  type EntityInfiniteOptions,
  type EntityPaginatedOptions,
  type IncludingInfiniteOptions,
  type IncludingPaginatedOptions,
  type InfiniteOptions,
  type PaginatedOptions,
  type UseInfiniteQueryReturn,
  type UsePaginatedQueryReturn,
} from "./pages.ts";
import { useEngine } from "./provider.tsx";
import type { NameFor } from "./queries.ts";
import {
  useSearch,
  type EntitySearchSpec,
  type SearchSpec,
  type UseSearchReturn,
} from "./searches.ts";

/** The hooks of `db` for paginated lists, aggregates and search. */
export const listHooks = {
  /** A live list that grows by one page at a time. */
  useInfiniteQuery: useAppInfiniteQuery,
  /** Like `useInfiniteQuery`, with a status and a variable page size. */
  usePaginatedQuery: useAppPaginatedQuery,
  /** Aggregates computed by the server, reloaded when rows change. */
  useAggregate: useAppAggregate,
  /** Full-text search, repeated when rows change. */
  useSearch: useAppSearch,
};

function useAppInfiniteQuery<T = never>(
  entity: NameFor<T>,
  options?: InfiniteOptions,
): UseInfiniteQueryReturn<T>;
function useAppInfiniteQuery<E extends EntityName>(
  entity: E,
  options?: EntityInfiniteOptions<E>,
): UseInfiniteQueryReturn<RegisteredRows[E]>;
function useAppInfiniteQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options?: IncludingInfiniteOptions<E, I>,
): UseInfiniteQueryReturn<Included<E, I>>;
function useAppInfiniteQuery(entity: string, options?: object): UseInfiniteQueryReturn<unknown> {
  return useInfiniteQuery<unknown>(useEngine(), entity, options);
}

function useAppPaginatedQuery<T = never>(
  entity: NameFor<T>,
  options?: PaginatedOptions,
): UsePaginatedQueryReturn<T>;
function useAppPaginatedQuery<E extends EntityName>(
  entity: E,
  options?: EntityPaginatedOptions<E>,
): UsePaginatedQueryReturn<RegisteredRows[E]>;
function useAppPaginatedQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options?: IncludingPaginatedOptions<E, I>,
): UsePaginatedQueryReturn<Included<E, I>>;
function useAppPaginatedQuery(entity: string, options?: object): UsePaginatedQueryReturn<unknown> {
  return usePaginatedQuery<unknown>(useEngine(), entity, options);
}

function useAppAggregate<R = never>(entity: NameFor<R>, spec: AggregateSpec): UseAggregateReturn<R>;
function useAppAggregate<E extends EntityName, const S extends EntityAggregateSpec<E>>(
  entity: E,
  spec: S & EntityAggregateSpec<E>,
): UseAggregateReturn<AggregateResult<RegisteredRows[E], S>>;
function useAppAggregate(entity: string, spec: object): UseAggregateReturn<unknown> {
  return useAggregate<unknown>(useEngine(), entity, spec);
}

function useAppSearch<T = never>(entity: NameFor<T>, spec: SearchSpec): UseSearchReturn<T>;
function useAppSearch<E extends EntityName>(
  entity: E,
  spec: EntitySearchSpec<E>,
): UseSearchReturn<RegisteredRows[E]>;
function useAppSearch(entity: string, spec: object): UseSearchReturn<unknown> {
  return useSearch<unknown>(useEngine(), entity, spec);
}
