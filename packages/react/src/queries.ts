import type { EntityName, RegisteredRows, RegisteredClientFilters } from "@pylonsync/sdk";
import {
  liveRow,
  NOT_STARTED,
  type LiveList,
  type LiveRow,
  type QueryOptions,
  type SyncEngine,
} from "@pylonsync/sync";
import { useCallback, useMemo, useState, useSyncExternalStore } from "react";

/** A live list, as `useQuery` returns it. */
export interface QueryResult<R> {
  /**
   * The rows, at once from the replica. The same array comes back until one of them changes; it is
   * the component's own.
   */
  readonly data: R[];
  /** The replica has never held anything yet: an empty list means nothing. */
  readonly loading: boolean;
  /**
   * The rows are those that the server has had at some time. Until then `data` may have some of
   * them, where the replica holds what is shown.
   */
  readonly isComplete: boolean;
  /** The filter can't be understood. */
  readonly error: Error | null;
  /** Evaluates again; rarely needed, because the list is live. */
  readonly refetch: () => void;
}

/** A live row, as `useQueryOne` returns it. `data` is null while there is no such row. */
export interface RowResult<R> {
  readonly data: R | null;
  readonly loading: boolean;
  readonly error: Error | null;
  readonly refetch: () => void;
}

/**
 * A filter over an entity's fields: `{done: false, $or: [{rank: {$gt: 3}}, {due: null}]}`. A
 * registered app's fields are known by name and by the values that they have.
 */
export type EntityFilter<E extends EntityName> = RegisteredClientFilters[E];

/** The filter, the order and the limit of a live query. */
export interface EntityQueryOptions<E extends EntityName> {
  readonly where?: EntityFilter<E> | undefined;
  /** `{createdAt: "desc"}`; the first key is the most significant. Default: by id. */
  readonly orderBy?: { readonly [Field in keyof RegisteredRows[E]]?: "asc" | "desc" } | undefined;
  readonly limit?: number | undefined;
}

/**
 * A name in a call that says a type itself: `useQuery<Todo>("Todo")`. Where no type is said there
 * is no such name, so that a name that the app does not have is still an error.
 */
export type NameFor<T> = [T] extends [never] ? never : string;

const NO_ROWS: readonly never[] = [];

/**
 * The rows that match, live.
 *
 * @param options compared by value: they may be written inline
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
/** The same with the row's type in place of the registered one. */
export function useQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: QueryOptions,
): QueryResult<T>;
export function useQuery(
  sync: SyncEngine,
  entity: string,
  options: object = {},
): QueryResult<unknown> {
  const { data, error, refetch, isReady } = useList(sync, entity, options);
  return {
    data,
    loading: !isReady && data.length === 0 && error === null,
    isComplete: isReady && error === null,
    error,
    refetch,
  };
}

/** As `useQuery`, with whether the rows have come from the server, at some time. */
export function useList(
  sync: SyncEngine,
  entity: string,
  options: object,
): Omit<QueryResult<unknown>, "loading" | "isComplete"> & { readonly isReady: boolean } {
  // The options are data: two that read the same are the same.
  const key = keyOf(options);
  const [generation, setGeneration] = useState(0);
  const { list, refusal } = useMemo(() => {
    try {
      return { list: sync.query(entity, options), refusal: null, generation };
    } catch (cause) {
      return { list: null, refusal: asError(cause), generation };
    }
  }, [sync, entity, key, generation]);
  const subscribe = useCallback(
    (notify: () => void) => list?.subscribe(notify) ?? (() => undefined),
    [list],
  );
  const snapshot = useCallback(() => rowsOrError(list), [list]);
  const found = useSyncExternalStore<readonly unknown[] | Error>(subscribe, snapshot, noRows);
  // The component's own, which it may sort: the replica's list is shared.
  const data = useMemo(() => (found instanceof Error ? [] : [...found]), [found]);
  const error = refusal ?? (found instanceof Error ? found : null);
  const refetch = useCallback(() => setGeneration((count) => count + 1), []);
  return { data, isReady: useReady(sync, list), error, refetch };
}

function noRows(): readonly never[] {
  return NO_ROWS;
}

/** Whether a filter's values fit is known with the replica, so that the error may come late. */
function rowsOrError(list: LiveList | null): readonly unknown[] | Error {
  try {
    return list?.getSnapshot() ?? NO_ROWS;
  } catch (cause) {
    return asError(cause);
  }
}

function rowOrError(row: LiveRow): unknown {
  try {
    return row.getSnapshot();
  } catch (cause) {
    return asError(cause);
  }
}

/** Whether what is shown has come from the server, at some time. */
function useReady(sync: SyncEngine, shown: Pick<LiveRow, "isReady" | "subscribe"> | null): boolean {
  const subscribe = useCallback(
    (notify: () => void) => shown?.subscribe(notify) ?? (() => undefined),
    [shown],
  );
  const isReady = useSyncExternalStore(
    subscribe,
    () => shown?.isReady() ?? null,
    () => null,
  );
  const { ready } = useStatus(sync);
  return isReady ?? ready;
}

/** JSON drops what is undefined and makes null of NaN, and such options are not the same. */
export function keyOf(options: unknown): string {
  return JSON.stringify(options, (_name, value: unknown) => {
    const isLost =
      value === undefined ||
      typeof value === "bigint" ||
      (typeof value === "number" && !Number.isFinite(value));
    return isLost ? { [`$${typeof value}`]: String(value) } : value;
  });
}

/** What was thrown, as an error. */
export function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

/**
 * One row, live; `data` is null when there is no such row.
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
/** The same with the row's type in place of the registered one. */
export function useQueryOne<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  id: string,
): RowResult<T>;
export function useQueryOne(sync: SyncEngine, entity: string, id: string): RowResult<unknown> {
  const row = useMemo(() => liveRow(sync.store, entity, id), [sync, entity, id]);
  const snapshot = useCallback(() => rowOrError(row), [row]);
  const found = useSyncExternalStore<unknown>(row.subscribe, snapshot, () => null);
  const error = found instanceof Error ? found : null;
  const data = error === null ? found : null;
  const refetch = useCallback(() => undefined, []);
  return {
    data,
    loading: !useReady(sync, row) && found === null,
    error,
    refetch,
  };
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
  // What the server rendered is what is there before the engine starts, however late a part of the
  // page comes alive.
  return useSyncExternalStore(subscribe, snapshot, () => NOT_STARTED);
}
