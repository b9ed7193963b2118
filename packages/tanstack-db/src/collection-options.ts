import type { EntityFilter, EntityName, NameFor, RegisteredRows } from "@pylonsync/sdk";
import type { SyncEngine } from "@pylonsync/sync";
import { keyOf } from "@pylonsync/sync/bindings";
import type { CollectionConfig } from "@tanstack/db";
import { followRows, type SyncedRow } from "./follow-rows.ts";

/** The options of a collection, for any entity name. */
export interface PylonCollectionOptions {
  /** The app's engine, which must be started. */
  readonly engine: SyncEngine;
  readonly entity: string;
  /** The rows of the collection. Default: all rows that the user may read. */
  readonly where?: Readonly<Record<string, unknown>> | undefined;
  /** Identifies the collection. Default: the entity, followed by the filter if there is one. */
  readonly id?: string | undefined;
}

/** The options of a collection of a registered entity. */
export interface EntityCollectionOptions<E extends EntityName> extends Omit<
  PylonCollectionOptions,
  "entity" | "where"
> {
  readonly entity: E;
  readonly where?: EntityFilter<E> | undefined;
}

/** With an explicit row type in place of the registered one. */
export function pylonCollectionOptions<T extends SyncedRow = never>(
  options: PylonCollectionOptions & { readonly entity: NameFor<T> },
): CollectionConfig<T, string>;
/**
 * Returns the options of a TanStack DB collection with the rows of an entity, live. Writes to the
 * collection go through the engine's queue: they are shown immediately, stored while offline, and
 * rolled back if the server rejects them, which `engine.onError` reports.
 *
 * @example
 * import { createCollection } from "@tanstack/db";
 *
 * const todos = createCollection(pylonCollectionOptions({ engine, entity: "Todo" }));
 * todos.update(id, (todo) => Object.assign(todo, { done: true }));
 */
export function pylonCollectionOptions<E extends EntityName>(
  options: EntityCollectionOptions<E>,
): CollectionConfig<RegisteredRows[E] & SyncedRow, string>;
export function pylonCollectionOptions(given: GivenOptions): object {
  return configOf(given);
}

/** The common part of the overloads. */
interface GivenOptions extends Omit<PylonCollectionOptions, "where"> {
  readonly where?: object | undefined;
}

function configOf({
  engine,
  entity,
  where,
  id = where === undefined ? entity : `${entity} ${keyOf(where)}`,
}: GivenOptions): CollectionConfig<SyncedRow, string> {
  return {
    id,
    getKey: (row) => row.id,
    sync: {
      rowUpdateMode: "full",
      sync: (target) => followRows(engine, entity, { where: where && { ...where } }, target),
    },
    // Each write resolves once it is in the engine's queue, which shows it from then on. Waiting
    // for the server's response would block the changes of others while offline.
    onInsert: async ({ transaction: { mutations } }) => {
      await Promise.all(mutations.map(({ modified }) => engine.insert(entity, { ...modified })));
    },
    onUpdate: async ({ transaction: { mutations } }) => {
      await Promise.all(mutations.map(({ key, changes }) => engine.update(entity, key, changes)));
    },
    onDelete: async ({ transaction: { mutations } }) => {
      await Promise.all(mutations.map(({ key }) => engine.delete(entity, key)));
    },
  };
}
