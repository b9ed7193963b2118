import type {
  CallArgs,
  EntityName,
  FunctionName,
  Included,
  IncludeOf,
  RegisteredFunctions,
  RegisteredRows,
} from "@pylonsync/sdk";
import type { QueryOptions, SyncEngine } from "@pylonsync/sync";
import { observeFunction, observeQuery, observeRow } from "@pylonsync/sync/bindings";
import { useArrival } from "./arrivals.ts";
import { useFunction } from "./functions.ts";
import { useEngine } from "./provider.tsx";
import {
  useQuery,
  useQueryOne,
  type EntityQueryOptions,
  type IncludingOptions,
  type NameFor,
  type QueryResult,
  type RowResult,
} from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The result of `useSuspenseQuery`. */
export type SuspenseQueryResult<R> = Omit<QueryResult<R>, "loading" | "error">;

/** The result of `useSuspenseQueryOne`. */
export type SuspenseRowResult<R> = Omit<RowResult<R>, "loading" | "error">;

/** The result of `useSuspenseFunction`. */
export interface SuspenseFunctionResult<R> {
  /** Shared with other components: copy it before you modify it. */
  readonly data: R;
  /** Why there is no newer result than `data`; null again after the next result. */
  readonly error: Error | null;
}

/** With an explicit row type in place of the registered one. */
export function useSuspenseQuery<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  options?: QueryOptions,
): SuspenseQueryResult<T>;
/**
 * Like `useQuery`, inside `<Suspense>`: it suspends until rows are available, or the result is
 * known to be empty. An invalid query is thrown to the nearest error boundary.
 *
 * @throws Error to the error boundary
 * @example
 * import { Suspense } from "react";
 *
 * function Titles() {
 *   const { data } = useSuspenseQuery(useEngine(), "Todo", { where: { done: false } });
 *   return <ul>{data.map(({ id, title }) => <li key={id}>{title}</li>)}</ul>;
 * }
 * const page = <Suspense fallback={<p>Loading</p>}><Titles /></Suspense>;
 */
export function useSuspenseQuery<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  options?: EntityQueryOptions<E>,
): SuspenseQueryResult<RegisteredRows[E]>;
/** With related rows under the names of their relations. */
export function useSuspenseQuery<E extends EntityName, const I extends IncludeOf<E>>(
  sync: SyncEngine,
  entity: E,
  options?: IncludingOptions<E, I>,
): SuspenseQueryResult<Included<E, I>>;
export function useSuspenseQuery(
  sync: SyncEngine,
  entity: string,
  options: object = {},
): SuspenseQueryResult<unknown> {
  const { loading, error, ...shown } = useQuery<unknown>(sync, entity, options);
  if (error !== null) throw error;
  useArrival(sync, ["rows", entity, options], loading, () => observeQuery(sync, entity, options));
  return shown;
}

/** With an explicit row type in place of the registered one. */
export function useSuspenseQueryOne<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
  id: string,
): SuspenseRowResult<T>;
/**
 * Like `useQueryOne`, inside `<Suspense>`.
 *
 * @throws Error to the error boundary
 * @example
 * function TodoTitle({ id }: { id: string }) {
 *   const { data } = useSuspenseQueryOne(useEngine(), "Todo", id);
 *   return <h1>{data === null ? "There is no such todo." : data.title}</h1>;
 * }
 */
export function useSuspenseQueryOne<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
  id: string,
): SuspenseRowResult<RegisteredRows[E]>;
export function useSuspenseQueryOne(
  sync: SyncEngine,
  entity: string,
  id: string,
): SuspenseRowResult<unknown> {
  const { loading, error, ...shown } = useQueryOne<unknown>(sync, entity, id);
  if (error !== null) throw error;
  useArrival(sync, ["row", entity, id], loading, () => observeRow(sync, entity, id));
  return shown;
}

/** With an explicit result type in place of the registered one. */
export function useSuspenseFunction<R = never>(
  name: NameFor<R>,
  args?: Fields,
): SuspenseFunctionResult<R>;
/**
 * Like `useFunction`, inside `<Suspense>`. A failure before the first result is thrown to the error
 * boundary; a later one is stored in `error`, and the last result is kept. Resetting the boundary
 * repeats the call.
 *
 * @throws Error to the error boundary
 * @example
 * function OpenCount({ listId }: { listId: string }) {
 *   return <p>{useSuspenseFunction<number>("countOpen", { listId }).data} to do</p>;
 * }
 */
export function useSuspenseFunction<N extends FunctionName>(
  name: N,
  ...args: CallArgs<RegisteredFunctions[N]["args"]>
): SuspenseFunctionResult<RegisteredFunctions[N]["result"]>;
export function useSuspenseFunction(
  name: string,
  args: Fields = {},
): SuspenseFunctionResult<unknown> {
  const sync = useEngine();
  const { data, loading, error } = useFunction<unknown>(name, args);
  if (data === null && error !== null) throw error;
  useArrival(sync, ["result", name, args], loading, () => observeFunction(sync, name, args));
  return { data, error };
}
