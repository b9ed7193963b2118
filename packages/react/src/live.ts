import type { EntityName, RegisteredRows } from "@pylonsync/sdk";
import { liveQuery, liveRow, type SyncEngine } from "@pylonsync/sync";
import { useMemo } from "react";
import type { NameFor } from "./queries.ts";

/** A changing value, in the form that React's `useSyncExternalStore` takes. */
export interface LiveValue<T> {
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => T;
  /** The value during server rendering: empty. */
  readonly getServerSnapshot: () => T;
}

const NO_ROWS: readonly never[] = [];

/** With an explicit row type in place of the registered one. */
export function useLiveList<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
): LiveValue<readonly T[]>;
/**
 * All rows of an entity, for `useSyncExternalStore`. Prefer `useQuery`, which supports filters.
 *
 * @example
 * import { useSyncExternalStore } from "react";
 *
 * function Count() {
 *   const list = useLiveList(useEngine(), "Todo");
 *   const { subscribe, getSnapshot, getServerSnapshot } = list;
 *   return <p>{useSyncExternalStore(subscribe, getSnapshot, getServerSnapshot).length}</p>;
 * }
 */
export function useLiveList<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
): LiveValue<readonly RegisteredRows[E][]>;
export function useLiveList(sync: SyncEngine, entity: string): LiveValue<readonly unknown[]> {
  return useMemo(() => {
    const list = liveQuery(sync.store, entity);
    return {
      subscribe: (listener) => list.subscribe(listener),
      getSnapshot: () => list.getSnapshot(),
      getServerSnapshot: () => NO_ROWS,
    };
  }, [sync, entity]);
}

/** With an explicit row type in place of the registered one. */
export function useLiveRow<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  id: string,
): LiveValue<T | null>;
/**
 * One row, for `useSyncExternalStore`. Prefer `useQueryOne`.
 *
 * @example
 * import { useSyncExternalStore } from "react";
 *
 * function Title({ id }: { id: string }) {
 *   const { subscribe, getSnapshot, getServerSnapshot } = useLiveRow(useEngine(), "Todo", id);
 *   return <h1>{useSyncExternalStore(subscribe, getSnapshot, getServerSnapshot)?.title}</h1>;
 * }
 */
export function useLiveRow<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  id: string,
): LiveValue<RegisteredRows[E] | null>;
export function useLiveRow(sync: SyncEngine, entity: string, id: string): LiveValue<unknown> {
  return useMemo(
    () => ({ ...liveRow(sync.store, entity, id), getServerSnapshot: () => null }),
    [sync, entity, id],
  );
}

/**
 * The earlier name of `useLiveList`.
 *
 * @deprecated Use `useLiveList`, or `useQuery`.
 *
 * @example
 * function Count() {
 *   return <p>{useQueryRaw(useEngine(), "Todo").getSnapshot().length}</p>;
 * }
 */
export const useQueryRaw: typeof useLiveList = useLiveList;

/**
 * The earlier name of `useLiveRow`.
 *
 * @deprecated Use `useLiveRow`, or `useQueryOne`.
 *
 * @example
 * function Title({ id }: { id: string }) {
 *   return <h1>{useQueryOneRaw(useEngine(), "Todo", id).getSnapshot()?.title}</h1>;
 * }
 */
export const useQueryOneRaw: typeof useLiveRow = useLiveRow;
