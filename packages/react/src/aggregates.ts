import type { EntityName } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Refresher } from "./refresher.ts";
import type { NameFor } from "./queries.ts";

/**
 * What `useAggregate` computes over the rows that the caller may read: counts, sums, averages and
 * bounds of fields, over all rows that match `where`, or by group.
 */
export interface AggregateSpec {
  readonly count?: boolean | string;
  readonly sum?: readonly string[];
  readonly avg?: readonly string[];
  readonly min?: readonly string[];
  readonly max?: readonly string[];
  readonly countDistinct?: readonly string[];
  readonly groupBy?: readonly (
    | string
    | { readonly field: string; readonly bucket?: "hour" | "day" | "week" | "month" | "year" }
  )[];
  readonly where?: Readonly<Record<string, unknown>>;
}

/** A group, or all rows, as `POST /api/aggregate/ENTITY` answers it. */
export type AggregateRow = Readonly<Record<string, string | number | boolean | null>>;

/** Computed rows, as `useAggregate` returns them. */
export interface UseAggregateReturn<R> {
  /** Null until the first answer. */
  readonly data: R[] | null;
  /** Nothing has been answered yet. */
  readonly loading: boolean;
  /** Why the last question was not answered; `data` is then of the one before. */
  readonly error: Error | null;
  readonly refresh: () => void;
}

/**
 * Asks the server for counts and sums, and again shortly after rows of the entity have changed.
 *
 * @param spec compared by value: it may be written inline
 * @example
 * function Progress() {
 *   const { data } = useAggregate<{ done: boolean; count: number }>(useEngine(), "Todo", {
 *     count: true,
 *     groupBy: ["done"],
 *   });
 *   return <p>{data?.find(({ done }) => done)?.count ?? 0} done</p>;
 * }
 */
export function useAggregate(
  sync: SyncEngine,
  entity: EntityName,
  spec: AggregateSpec,
): UseAggregateReturn<AggregateRow>;
/** The same with the type of a row of the answer. */
export function useAggregate<R = never>(
  sync: SyncEngine,
  entity: NameFor<R>,
  spec: AggregateSpec,
): UseAggregateReturn<R>;
export function useAggregate(
  sync: SyncEngine,
  entity: string,
  spec: AggregateSpec,
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
