import type { EntityName, RegisteredInserts, RegisteredPatches } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { useCallback } from "react";
import type { NameFor } from "./queries.ts";

type Fields = Readonly<Record<string, unknown>>;

/** With an explicit type for the inserted data. */
export function useInsert<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
): (data: Partial<T>) => Promise<string>;
/**
 * Returns a function that inserts a row of an entity, like `db.insert`.
 *
 * @example
 * function AddTodo() {
 *   const insert = useInsert(useEngine(), "Todo");
 *   return <button onClick={() => void insert({ title: "milk" })}>Add</button>;
 * }
 */
export function useInsert<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
): (data: RegisteredInserts[E]) => Promise<string>;
export function useInsert(sync: SyncEngine, entity: string): (data: Fields) => Promise<string> {
  return useCallback((data: Fields) => sync.insert(entity, data), [sync, entity]);
}

/** With an explicit row type. */
export function useUpdate<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
): (id: string, patch: Partial<T>) => Promise<void>;
/**
 * Returns a function that updates a row of an entity, like `db.update`.
 *
 * @example
 * function DoneButton({ id }: { id: string }) {
 *   const update = useUpdate(useEngine(), "Todo");
 *   return <button onClick={() => void update(id, { done: true })}>Done</button>;
 * }
 */
export function useUpdate<E extends EntityName>(
  sync: SyncEngine,
  entity: E,
): (id: string, patch: RegisteredPatches[E]) => Promise<void>;
export function useUpdate(
  sync: SyncEngine,
  entity: string,
): (id: string, patch: Fields) => Promise<void> {
  return useCallback((id: string, patch: Fields) => sync.update(entity, id, patch), [sync, entity]);
}

/** For an entity that is not registered, as `useDelete<Todo>(sync, "Todo")`. */
export function useDelete<T = never>(
  sync: SyncEngine,
  entity: NameFor<T>,
): (id: string) => Promise<void>;
/**
 * Returns a function that deletes a row of an entity, like `db.delete`.
 *
 * @example
 * function DeleteButton({ id }: { id: string }) {
 *   const remove = useDelete(useEngine(), "Todo");
 *   return <button onClick={() => void remove(id)}>Delete</button>;
 * }
 */
export function useDelete(sync: SyncEngine, entity: EntityName): (id: string) => Promise<void>;
export function useDelete(sync: SyncEngine, entity: string): (id: string) => Promise<void> {
  return useCallback((id: string) => sync.delete(entity, id), [sync, entity]);
}
