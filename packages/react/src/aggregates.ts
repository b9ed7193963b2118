import type { AggregateResult, EntityName, RegisteredRows } from "@pylonsync/sdk";
import { LOADING, type SyncEngine } from "@pylonsync/sync";
import {
  observeAggregate,
  type AggregateSpec,
  type AggregateState,
  type EntityAggregateSpec,
  type ReadActions,
} from "@pylonsync/sync/bindings";
import { useMemo } from "react";
import type { NameFor } from "./queries.ts";
import { useServerRead } from "./server-reads.ts";

export type { AggregateRow, AggregateSpec, EntityAggregateSpec } from "@pylonsync/sync/bindings";

/** The result of `useAggregate`. */
export interface UseAggregateReturn<R> extends AggregateState<R>, ReadActions {
  /** The results, which the component may sort; null before the first response. */
  readonly data: R[] | null;
}

/** With an explicit type for the result's rows. */
export function useAggregate<R = never>(
  sync: SyncEngine,
  entity: NameFor<R>,
  spec: AggregateSpec,
): UseAggregateReturn<R>;
/**
 * Counts and sums, computed by the server, live: a change of any row that affects them leads to new
 * results, whether or not the page holds the row.
 *
 * @param spec compared by value, so it may be written inline
 * @example
 * function Progress() {
 *   const { data } = useAggregate<{ done: boolean; count: number }>(useEngine(), "Todo", {
 *     count: true,
 *     groupBy: ["done"],
 *   });
 *   return <p>{data?.find(({ done }) => done)?.count ?? 0} done</p>;
 * }
 */
export function useAggregate<E extends EntityName, const S extends EntityAggregateSpec<E>>(
  sync: SyncEngine,
  entity: E,
  spec: S & EntityAggregateSpec<E>,
): UseAggregateReturn<AggregateResult<RegisteredRows[E], S>>;
export function useAggregate(
  sync: SyncEngine,
  entity: string,
  spec: object,
): UseAggregateReturn<unknown> {
  const { data: rows, ...state } = useServerRead(observeAggregate, LOADING, sync, entity, spec);
  // A copy that the component may sort: equal aggregates of a page share their result.
  const data = useMemo(() => (rows === null ? null : [...rows]), [rows]);
  return { ...state, data };
}
