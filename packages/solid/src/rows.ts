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
  fieldsOf,
  keyOf,
  observeQuery,
  observeRow,
  writesOf,
  type EntityWrites,
  type QueryState,
  type RowState,
} from "@pylonsync/sync/bindings";
import { useEngine } from "./engine.ts";
import { live, valueOf, type MaybeGetter } from "./live.ts";

/**
 * The matching rows, live.
 *
 * @param options compared by value, so they may be written inline; a function is tracked
 * @example
 * const todos = useQuery("Todo", () => ({ where: { done: false } }));
 * const titles = () => todos.data.map(({ title }) => title);
 */
export function useQuery<E extends EntityName>(
  entity: E,
  options?: MaybeGetter<EntityQueryOptions<E>>,
): QueryState<RegisteredRows[E]>;
/** With related rows under the names of their relations. */
export function useQuery<E extends EntityName, const I extends IncludeOf<E>>(
  entity: E,
  options: MaybeGetter<IncludingOptions<E, I>>,
): QueryState<Included<E, I>>;
/** With an explicit row type in place of the registered one. */
export function useQuery<T = never>(
  entity: NameFor<T>,
  options?: MaybeGetter<QueryOptions>,
): QueryState<T>;
export function useQuery(entity: string, options: MaybeGetter<object> = {}): QueryState<unknown> {
  const sync = useEngine();
  const read = (): object => valueOf(options);
  const { first, current } = live(
    () => keyOf(read()),
    () => observeQuery(sync, entity, read()),
  );
  return fieldsOf<QueryState<unknown>>(first, current);
}

/**
 * One row, live; `data` is null if it does not exist.
 *
 * @example
 * const todo = useQueryOne("Todo", () => id);
 */
export function useQueryOne<E extends EntityName>(
  entity: E,
  id: MaybeGetter<string>,
): RowState<RegisteredRows[E]>;
/** With an explicit row type in place of the registered one. */
export function useQueryOne<T = never>(entity: NameFor<T>, id: MaybeGetter<string>): RowState<T>;
export function useQueryOne(entity: string, id: MaybeGetter<string>): RowState<unknown> {
  const sync = useEngine();
  const read = (): string => valueOf(id);
  const { first, current } = live(read, () => observeRow(sync, entity, read()));
  return fieldsOf<RowState<unknown>>(first, current);
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
