import type { SyncEngine } from "../engine/engine.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Optimistic writes to one entity. */
export interface EntityWrites<Insert = Fields, Patch = Fields> {
  /** @returns the row's permanent id. @throws MutationError like the engine's `insert` */
  readonly insert: (data: Insert) => Promise<string>;
  readonly update: (id: string, patch: Patch) => Promise<void>;
  readonly remove: (id: string) => Promise<void>;
}

/**
 * Returns the writes for one entity: they are applied to the replica immediately, and sent to the
 * server.
 *
 * @example
 * const id = await writesOf(engine, "Todo").insert({ title: "milk" });
 */
export function writesOf(sync: SyncEngine, entity: string): EntityWrites {
  return {
    insert: (data) => sync.insert(entity, data),
    update: (id, patch) => sync.update(entity, id, patch),
    remove: (id) => sync.delete(entity, id),
  };
}
