import type {
  AggregateOptions,
  AggregateResult,
  EntityName,
  RegisteredClientFilters,
  RegisteredRows,
  RelatedFieldName,
} from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Refresher } from "./refresher.ts";
import type { NameFor } from "./queries.ts";

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

/** The result of `useAggregate`. */
export interface UseAggregateReturn<R> {
  /** Null until the first response. */
  readonly data: R[] | null;
  /** True until the first response. */
  readonly loading: boolean;
  /** The error of the last request; `data` is then the previous result. */
  readonly error: Error | null;
  readonly refresh: () => void;
}

/** With an explicit type for the result's rows. */
export function useAggregate<R = never>(
  sync: SyncEngine,
  entity: NameFor<R>,
  spec: AggregateSpec,
): UseAggregateReturn<R>;
/**
 * Loads counts and sums from the server, and again shortly after rows of the entity have changed in
 * the replica: with `sync: "queries"`, those that the page shows.
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
  const key = JSON.stringify(spec);
  const question = useMemo(
    () => ({ path: `/api/aggregate/${encodeURIComponent(entity)}`, key }),
    [entity, key],
  );
  const [answer, setAnswer] = useState<Answer>({ question, data: null, error: null });
  const refresher = useMemo(
    () =>
      new Refresher({
        sync,
        entity,
        ask: () => sync.request("POST", question.path, JSON.parse(question.key)),
        onAnswer: (body) => setAnswer({ question, data: rowsOf(body), error: null }),
        onError: (error) =>
          setAnswer((before) => ({
            question,
            data: before.question === question ? before.data : null,
            error,
          })),
      }),
    [sync, entity, question],
  );
  useEffect(() => refresher.start(), [refresher]);
  const refresh = useCallback(() => refresher.refresh(), [refresher]);
  const { data, error } = answer.question === question ? answer : { data: null, error: null };
  return { data, loading: data === null && error === null, error, refresh };
}

interface Answer {
  readonly question: object;
  readonly data: unknown[] | null;
  readonly error: Error | null;
}

function rowsOf(body: unknown): unknown[] {
  return typeof body === "object" && body !== null && "rows" in body && Array.isArray(body.rows)
    ? body.rows
    : [];
}
