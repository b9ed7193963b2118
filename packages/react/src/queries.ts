import type {
  EntityName,
  EntityQueryOptions,
  Included,
  IncludeOf,
  IncludingOptions,
  NameFor,
  RegisteredRows,
} from "@pylonsync/sdk";
import { NOT_STARTED, type QueryOptions, type SyncEngine } from "@pylonsync/sync";
import {
  keyOf,
  observeQuery,
  observeRow,
  type Observable,
  type QueryState,
  type RowState,
} from "@pylonsync/sync/bindings";
import { useCallback, useMemo, useState, useSyncExternalStore } from "react";

/** The result of `useQuery`. */
export interface QueryResult<R> {
  /**
   * The rows, immediately available from the replica. The array is stable until a row changes, and
   * belongs to the component.
   */
  readonly data: R[];
  /** True while the replica is empty and not yet loaded: an empty list has no meaning then. */
  readonly loading: boolean;
  /**
   * Whether the rows match a state of the server. Until then `data` may be incomplete, if the
   * replica only holds watched rows.
   */
  readonly isComplete: boolean;
  /** Set if the filter is invalid. */
  readonly error: Error | null;
  /** Evaluates the query again; rarely needed, because the list is live. */
  readonly refetch: () => void;
}

/** The result of `useQueryOne`. `data` is null if the row does not exist. */
export interface RowResult<R> {
  readonly data: R | null;
  readonly loading: boolean;
  readonly error: Error | null;
  readonly refetch: () => void;
}

export type { EntityFilter, EntityQueryOptions, IncludingOptions, NameFor } from "@pylonsync/sdk";

const NO_ROWS_YET: QueryState<never> = { data: [], loading: true, isComplete: false, error: null };
const NO_ROW_YET: RowState<never> = { data: null, loading: true, error: null };

/** With an explicit row type in place of the registered one. */
export function useQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: QueryOptions,
): QueryResult<T>;
/**
 * The matching rows, live.
 *
 * @param options compared by value, so they may be written inline
 * @example
 * function TodoList() {
 *   const { data } = useQuery(useEngine(), "Todo", {
 *     where: { done: false },
 *     orderBy: { createdAt: "desc" },
 *   });
 *   return <ul>{data.map(({ id, title }) => <li key={id}>{title}</li>)}</ul>;
 * }
 */
export function useQuery<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  options?: EntityQueryOptions<E>,
): QueryResult<RegisteredRows[E]>;
/** With related rows under the names of their relations. */
export function useQuery<E extends EntityName, const I extends IncludeOf<E>>(
  sync: SyncEngine,
  entity: E,
  options?: IncludingOptions<E, I>,
): QueryResult<Included<E, I>>;
export function useQuery(
  sync: SyncEngine,
  entity: string,
  options: object = {},
): QueryResult<unknown> {
  // The options are data: options with equal JSON are equal.
  const key = keyOf(options);
  const [generation, setGeneration] = useState(0);
  const list = useMemo(() => observeQuery(sync, entity, options), [sync, entity, key, generation]);
  const { data: rows, ...state } = useObservable(list, NO_ROWS_YET);
  // A copy that the component may sort: the replica's list is shared.
  const data = useMemo(() => [...rows], [rows]);
  const refetch = useCallback(() => setGeneration((count) => count + 1), []);
  return { data, ...state, refetch };
}

/**
 * Returns the current value of an observable.
 *
 * @param first the value during server rendering and hydration
 */
export function useObservable<T extends { readonly error: Error | null }>(
  value: Observable<T>,
  first: T,
): T {
  const subscribe = useCallback((notify: () => void) => value.subscribe(notify), [value]);
  const snapshot = useCallback(() => value.getSnapshot(), [value]);
  // An invalid query also fails during server rendering.
  const rendered = useCallback(() => {
    const now = value.getSnapshot();
    return now.error === null ? first : now;
  }, [value, first]);
  return useSyncExternalStore(subscribe, snapshot, rendered);
}

/** With an explicit row type in place of the registered one. */
export function useQueryOne<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  id: string,
): RowResult<T>;
/**
 * One row, live; `data` is null if it does not exist.
 *
 * @example
 * function TodoTitle({ id }: { id: string }) {
 *   const { data } = useQueryOne(useEngine(), "Todo", id);
 *   return <h1>{data?.title}</h1>;
 * }
 */
export function useQueryOne<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  id: string,
): RowResult<RegisteredRows[E]>;
export function useQueryOne(sync: SyncEngine, entity: string, id: string): RowResult<unknown> {
  const row = useMemo(() => observeRow(sync, entity, id), [sync, entity, id]);
  const refetch = useCallback(() => undefined, []);
  return { ...useObservable(row, NO_ROW_YET), refetch };
}

/**
 * The state of the engine: connection, readiness, pending writes.
 *
 * @example
 * function Pending() {
 *   const { ready, pending } = useStatus(useEngine());
 *   return ready && pending > 0 ? <p>{pending} changes are not saved yet.</p> : null;
 * }
 */
export function useStatus(sync: SyncEngine): SyncEngine["status"] {
  const subscribe = useCallback((notify: () => void) => sync.onStatus(notify), [sync]);
  const snapshot = useCallback(() => sync.status, [sync]);
  // The server rendered the initial state of the engine, which hydration must match however late a
  // part of the page is hydrated.
  return useSyncExternalStore(subscribe, snapshot, () => NOT_STARTED);
}
