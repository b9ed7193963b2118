import type { EntityName, Included, IncludeOf, RegisteredRows } from "@pylonsync/sdk";
import type { QueryOptions } from "@pylonsync/sync";
import { useEngine } from "./provider.tsx";
import type { EntityQueryOptions, IncludingOptions, NameFor } from "./queries.ts";
import {
  useSuspenseFunction,
  useSuspenseQuery,
  useSuspenseQueryOne,
  type SuspenseQueryResult,
  type SuspenseRowResult,
} from "./suspense.ts";

/** The hooks of `db` for components inside `<Suspense>`. */
export const suspenseHooks = {
  /** Like `useQuery`; suspends until rows are available, or the result is known to be empty. */
  useSuspenseQuery: useAppSuspenseQuery,
  /** Like `useQueryOne`. */
  useSuspenseQueryOne: useAppSuspenseQueryOne,
  /** Like `useFunction`. */
  useSuspenseFunction,
};

function useAppSuspenseQuery<T = never>(
  entity: NameFor<T>,
  options?: QueryOptions,
): SuspenseQueryResult<T>;
function useAppSuspenseQuery<E extends EntityName>(
  entity: E,
  options?: EntityQueryOptions<E>,
): SuspenseQueryResult<RegisteredRows[E]>;
function useAppSuspenseQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options?: IncludingOptions<E, I>,
): SuspenseQueryResult<Included<E, I>>;
function useAppSuspenseQuery(entity: string, options?: object): SuspenseQueryResult<unknown> {
  return useSuspenseQuery<unknown>(useEngine(), entity, options);
}

function useAppSuspenseQueryOne<T = never>(entity: NameFor<T>, id: string): SuspenseRowResult<T>;
function useAppSuspenseQueryOne<E extends EntityName>(
  entity: E,
  id: string,
): SuspenseRowResult<RegisteredRows[E]>;
function useAppSuspenseQueryOne(entity: string, id: string): SuspenseRowResult<unknown> {
  return useSuspenseQueryOne<unknown>(useEngine(), entity, id);
}
