import type { EntityName, RegisteredEntities } from "@pylonsync/sdk";
import type { QueryOptions, SyncEngine } from "@pylonsync/sync";
import { useCallback, useMemo, useState } from "react";
import { keyOf, useList, type EntityQueryOptions, type NameFor } from "./queries.ts";

/** Options of `useInfiniteQuery`, for an entity that the app has registered. */
export interface EntityInfiniteOptions<E extends EntityName> extends Omit<
  EntityQueryOptions<E>,
  "limit"
> {
  /** Rows that are shown first, and that `loadMore` adds. Default 20. */
  readonly pageSize?: number | undefined;
}

/** Options of `useInfiniteQuery`, for a row's type that the call says. */
export interface InfiniteOptions extends Omit<QueryOptions, "limit"> {
  readonly pageSize?: number | undefined;
}

/** A list that grows, as `useInfiniteQuery` returns it. */
export interface UseInfiniteQueryReturn<T> {
  readonly data: T[];
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Shows one page more. */
  readonly loadMore: () => Promise<void>;
  readonly error: Error | null;
}

/** Options of `usePaginatedQuery`, for an entity that the app has registered. */
export interface EntityPaginatedOptions<E extends EntityName> extends Omit<
  EntityQueryOptions<E>,
  "limit"
> {
  /** Rows that are shown first. Default 20. */
  readonly initialNumItems?: number | undefined;
}

/** Options of `usePaginatedQuery`, for a row's type that the call says. */
export interface PaginatedOptions extends Omit<QueryOptions, "limit"> {
  readonly initialNumItems?: number | undefined;
}

/** What can be done with a list that grows. */
export type PaginatedQueryStatus = "LoadingFirstPage" | "CanLoadMore" | "LoadingMore" | "Exhausted";

/** A list that grows, as `usePaginatedQuery` returns it. */
export interface UsePaginatedQueryReturn<T> {
  readonly results: T[];
  readonly status: PaginatedQueryStatus;
  /** Shows so many rows more; by default as many as at first. */
  readonly loadMore: (numItems?: number) => void;
  readonly error: Error | null;
}

/**
 * A list that grows by a page at a time. Every row that it shows is live, as with `useQuery`. A
 * whole replica has all pages at once; with `sync: "queries"` each is asked for when it is shown.
 *
 * @example
 * function Todos() {
 *   const { data, hasMore, loadMore } = useInfiniteQuery(useEngine(), "Todo", { pageSize: 50 });
 *   const more = () => void loadMore();
 *   return <button disabled={!hasMore} onClick={more}>{data.length} shown</button>;
 * }
 */
export function useInfiniteQuery<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  options?: EntityInfiniteOptions<E>,
): UseInfiniteQueryReturn<RegisteredEntities[E]>;
/** The same with the row's type in place of the registered one. */
export function useInfiniteQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: InfiniteOptions,
): UseInfiniteQueryReturn<T>;
export function useInfiniteQuery(
  sync: SyncEngine,
  entity: string,
  { pageSize = 20, ...query }: { readonly pageSize?: number | undefined } = {},
): UseInfiniteQueryReturn<unknown> {
  const list = useWindow(sync, entity, query, pageSize);
  const { shown, hasMore, isGrowing, error, showMore } = list;
  const loading = list.loading || isGrowing;
  const loadMore = useCallback(() => {
    showMore(pageSize);
    return Promise.resolve();
  }, [showMore, pageSize]);
  return { data: shown, loading, hasMore, loadMore, error };
}

/**
 * As `useInfiniteQuery`, with a status and as many rows more as are asked for.
 *
 * @example
 * function Todos() {
 *   const { results, status, loadMore } = usePaginatedQuery(useEngine(), "Todo", {
 *     initialNumItems: 10,
 *   });
 *   if (status === "LoadingFirstPage") return <p>Loading</p>;
 *   return (
 *     <button disabled={status !== "CanLoadMore"} onClick={() => loadMore(50)}>
 *       {results.length} shown
 *     </button>
 *   );
 * }
 */
export function usePaginatedQuery<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  options?: EntityPaginatedOptions<E>,
): UsePaginatedQueryReturn<RegisteredEntities[E]>;
/** The same with the row's type in place of the registered one. */
export function usePaginatedQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: PaginatedOptions,
): UsePaginatedQueryReturn<T>;
export function usePaginatedQuery(
  sync: SyncEngine,
  entity: string,
  { initialNumItems = 20, ...query }: { readonly initialNumItems?: number | undefined } = {},
): UsePaginatedQueryReturn<unknown> {
  const list = useWindow(sync, entity, query, initialNumItems);
  const { shown, showMore, error } = list;
  const loadMore = useCallback(
    (numItems = initialNumItems) => showMore(numItems),
    [showMore, initialNumItems],
  );
  return { results: shown, status: statusOf(list), loadMore, error };
}

function statusOf({ loading, hasMore, isGrowing }: Window): PaginatedQueryStatus {
  if (loading) return "LoadingFirstPage";
  if (isGrowing) return "LoadingMore";
  return hasMore ? "CanLoadMore" : "Exhausted";
}

interface Window {
  readonly shown: unknown[];
  readonly loading: boolean;
  readonly error: Error | null;
  readonly hasMore: boolean;
  /** More is wanted than is here, and the server has not said whether there is more. */
  readonly isGrowing: boolean;
  readonly showMore: (count: number) => void;
}

/** The first rows of a live list, as many as are asked for. */
function useWindow(sync: SyncEngine, entity: string, query: object, first: number): Window {
  // Another list begins with its first page again.
  const key = keyOf([entity, query, first]);
  const [asked, setAsked] = useState({ key, more: 0 });
  if (asked.key !== key) setAsked({ key, more: 0 });
  const limit = first + (asked.key === key ? asked.more : 0);
  // One row more than is shown tells whether there are more.
  const { data, isReady, error } = useList(sync, entity, { ...query, limit: limit + 1 });
  const shown = useMemo(() => data.slice(0, limit), [data, limit]);
  const isWaiting = !isReady && error === null && data.length <= limit;
  const showMore = useCallback((count: number) => {
    if (!(Number.isSafeInteger(count) && count > 0)) return;
    setAsked((before) => ({ ...before, more: before.more + count }));
  }, []);
  return {
    shown,
    loading: isWaiting && data.length === 0,
    error,
    hasMore: isWaiting || data.length > limit,
    isGrowing: isWaiting && data.length > 0,
    showMore,
  };
}
