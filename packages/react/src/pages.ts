import type {
  EntityName,
  Included,
  IncludeOf,
  OnlyRelations,
  RegisteredRows,
} from "@pylonsync/sdk";
import type { QueryOptions, SyncEngine } from "@pylonsync/sync";
import { keyOf } from "@pylonsync/sync/bindings";
import { useCallback, useMemo, useState } from "react";
import { useQuery, type EntityQueryOptions, type NameFor } from "./queries.ts";

/** Options of `useInfiniteQuery` for a registered entity. */
export interface EntityInfiniteOptions<E extends EntityName> extends Omit<
  EntityQueryOptions<E>,
  "limit"
> {
  /** The number of rows of the first page, and of each page that `loadMore` adds. Default 20. */
  readonly pageSize?: number | undefined;
}

/** `EntityInfiniteOptions` with related rows to include. */
export interface IncludingInfiniteOptions<
  E extends EntityName,
  I,
> extends EntityInfiniteOptions<E> {
  /** As for `useQuery`: `{author: true}`. */
  readonly include: I & OnlyRelations<E, I>;
}

/** Options of `useInfiniteQuery` with an explicit row type. */
export interface InfiniteOptions extends Omit<QueryOptions, "limit"> {
  readonly pageSize?: number | undefined;
}

/** The result of `useInfiniteQuery`. */
export interface UseInfiniteQueryReturn<T> {
  readonly data: T[];
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Loads the next page. */
  readonly loadMore: () => Promise<void>;
  readonly error: Error | null;
}

/** Options of `usePaginatedQuery` for a registered entity. */
export interface EntityPaginatedOptions<E extends EntityName> extends Omit<
  EntityQueryOptions<E>,
  "limit"
> {
  /** The number of rows shown initially. Default 20. */
  readonly initialNumItems?: number | undefined;
}

/** `EntityPaginatedOptions` with related rows to include. */
export interface IncludingPaginatedOptions<
  E extends EntityName,
  I,
> extends EntityPaginatedOptions<E> {
  /** As for `useQuery`: `{author: true}`. */
  readonly include: I & OnlyRelations<E, I>;
}

/** Options of `usePaginatedQuery` with an explicit row type. */
export interface PaginatedOptions extends Omit<QueryOptions, "limit"> {
  readonly initialNumItems?: number | undefined;
}

/** The state of a paginated list. */
export type PaginatedQueryStatus = "LoadingFirstPage" | "CanLoadMore" | "LoadingMore" | "Exhausted";

/** The result of `usePaginatedQuery`. */
export interface UsePaginatedQueryReturn<T> {
  readonly results: T[];
  readonly status: PaginatedQueryStatus;
  /** Loads this many more rows; default: the initial number. */
  readonly loadMore: (numItems?: number) => void;
  readonly error: Error | null;
}

/** With an explicit row type in place of the registered one. */
export function useInfiniteQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: InfiniteOptions,
): UseInfiniteQueryReturn<T>;
/**
 * A live list that grows by one page at a time. All of its rows are live, as with `useQuery`. A
 * full replica has all pages immediately; with `sync: "queries"` each page is loaded on demand.
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
): UseInfiniteQueryReturn<RegisteredRows[E]>;
/** With related rows under the names of their relations. */
export function useInfiniteQuery<E extends EntityName, const I extends IncludeOf<E>>(
  sync: SyncEngine,
  entity: E,
  options?: IncludingInfiniteOptions<E, I>,
): UseInfiniteQueryReturn<Included<E, I>>;
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

/** With an explicit row type in place of the registered one. */
export function usePaginatedQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: PaginatedOptions,
): UsePaginatedQueryReturn<T>;
/**
 * Like `useInfiniteQuery`, with a status and a variable page size.
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
): UsePaginatedQueryReturn<RegisteredRows[E]>;
/** With related rows under the names of their relations. */
export function usePaginatedQuery<E extends EntityName, const I extends IncludeOf<E>>(
  sync: SyncEngine,
  entity: E,
  options?: IncludingPaginatedOptions<E, I>,
): UsePaginatedQueryReturn<Included<E, I>>;
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
  /** More rows are requested than the replica has, and the server has not responded yet. */
  readonly isGrowing: boolean;
  readonly showMore: (count: number) => void;
}

/** The first rows of a live list, up to the requested number. */
function useWindow(sync: SyncEngine, entity: string, query: object, first: number): Window {
  // A different list starts with its first page.
  const key = keyOf([entity, query, first]);
  const [asked, setAsked] = useState({ key, more: 0 });
  if (asked.key !== key) setAsked({ key, more: 0 });
  const limit = first + (asked.key === key ? asked.more : 0);
  // One extra row shows whether there are more.
  const options = { ...query, limit: limit + 1 };
  const { data, isComplete, error } = useQuery<unknown>(sync, entity, options);
  const shown = useMemo(() => data.slice(0, limit), [data, limit]);
  const isWaiting = !isComplete && error === null && data.length <= limit;
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
