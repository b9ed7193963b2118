import type {
  EntityName,
  EntityQueryOptions,
  Included,
  IncludeOf,
  IncludingOptions,
  NameFor,
  RegisteredInserts,
  RegisteredPatches,
  RegisteredRows,
} from "@pylonsync/sdk";
import type { QueryOptions } from "@pylonsync/sync";
import {
  keyOf,
  observeQuery,
  observeRow,
  writesOf,
  type EntityWrites,
  type QueryState,
  type RowState,
} from "@pylonsync/sync/bindings";
import { toValue, type MaybeRefOrGetter } from "vue";
import { useEngine } from "./engine.ts";
import { live, refsOf, type Refs } from "./live.ts";

/**
 * The matching rows, live.
 *
 * @param options compared by value, so they may be written inline; a ref or a getter is tracked
 * @example
 * const { data: todos } = useQuery("Todo", () => ({ where: { done: false } }));
 */
export function useQuery<E extends EntityName>(
  entity: E,
  options?: MaybeRefOrGetter<EntityQueryOptions<E>>,
): Refs<QueryState<RegisteredRows[E]>>;
/** With related rows under the names of their relations. */
export function useQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options: MaybeRefOrGetter<IncludingOptions<E, I>>,
): Refs<QueryState<Included<E, I>>>;
/** With an explicit row type in place of the registered one. */
export function useQuery<T = never>(
  entity: NameFor<T>,
  options?: MaybeRefOrGetter<QueryOptions>,
): Refs<QueryState<T>>;
export function useQuery(
  entity: string,
  options: MaybeRefOrGetter<object> = {},
): Refs<QueryState<unknown>> {
  const sync = useEngine();
  const read = (): object => toValue(options);
  return refsOf(
    live(
      () => keyOf(read()),
      () => observeQuery(sync, entity, read()),
    ),
  );
}

/**
 * One row, live; `data` is null if it does not exist.
 *
 * @example
 * const { data: todo } = useQueryOne("Todo", () => id);
 */
export function useQueryOne<E extends EntityName>(
  entity: E,
  id: MaybeRefOrGetter<string>,
): Refs<RowState<RegisteredRows[E]>>;
/** With an explicit row type in place of the registered one. */
export function useQueryOne<T = never>(
  entity: NameFor<T>,
  id: MaybeRefOrGetter<string>,
): Refs<RowState<T>>;
export function useQueryOne(entity: string, id: MaybeRefOrGetter<string>): Refs<RowState<unknown>> {
  const sync = useEngine();
  const read = (): string => toValue(id);
  return refsOf(live(read, () => observeRow(sync, entity, read())));
}

/**
 * Optimistic writes to one entity.
 *
 * @example
 * const { insert, remove } = useEntityMutation("Todo");
 */
export function useEntityMutation<E extends EntityName>(
  entity: E,
): EntityWrites<RegisteredInserts[E], RegisteredPatches[E]>;
export function useEntityMutation(entity: string): EntityWrites {
  return writesOf(useEngine(), entity);
}
