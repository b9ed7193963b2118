import type { EntityName, RegisteredEntities } from "@pylonsync/sdk";
import {
  useAggregate,
  type AggregateRow,
  type AggregateSpec,
  type UseAggregateReturn,
} from "./aggregates.ts";
import {
  useInfiniteQuery,
  usePaginatedQuery,
  type EntityInfiniteOptions,
  type EntityPaginatedOptions,
  type InfiniteOptions,
  type PaginatedOptions,
  type UseInfiniteQueryReturn,
  type UsePaginatedQueryReturn,
} from "./pages.ts";
import { useEngine } from "./provider.tsx";
import type { NameFor } from "./queries.ts";

/** The hooks of `db` for lists that grow, and for what the server computes of them. */
export const listHooks = {
  /** A live list that grows by a page at a time. */
  useInfiniteQuery: useAppInfiniteQuery,
  /** The same with a status, and as many rows more as are asked for. */
  usePaginatedQuery: useAppPaginatedQuery,
  /** Counts and sums of the server, asked for again when rows have changed. */
  useAggregate: useAppAggregate,
};

function useAppInfiniteQuery<E extends EntityName>(
  entity: E,
  options?: EntityInfiniteOptions<E>,
): UseInfiniteQueryReturn<RegisteredEntities[E]>;
function useAppInfiniteQuery<T = never>(
  entity: NameFor<T>,
  options?: InfiniteOptions,
): UseInfiniteQueryReturn<T>;
function useAppInfiniteQuery(entity: string, options?: object): UseInfiniteQueryReturn<unknown> {
  return useInfiniteQuery<unknown>(useEngine(), entity, options);
}

function useAppPaginatedQuery<E extends EntityName>(
  entity: E,
  options?: EntityPaginatedOptions<E>,
): UsePaginatedQueryReturn<RegisteredEntities[E]>;
function useAppPaginatedQuery<T = never>(
  entity: NameFor<T>,
  options?: PaginatedOptions,
): UsePaginatedQueryReturn<T>;
function useAppPaginatedQuery(entity: string, options?: object): UsePaginatedQueryReturn<unknown> {
  return usePaginatedQuery<unknown>(useEngine(), entity, options);
}

function useAppAggregate(entity: EntityName, spec: AggregateSpec): UseAggregateReturn<AggregateRow>;
function useAppAggregate<R = never>(entity: NameFor<R>, spec: AggregateSpec): UseAggregateReturn<R>;
function useAppAggregate(entity: string, spec: AggregateSpec): UseAggregateReturn<unknown> {
  return useAggregate<unknown>(useEngine(), entity, spec);
}
