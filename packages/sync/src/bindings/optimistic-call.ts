import { createIdFactory, type ClientChange, type Row } from "@pylonsync/protocol";
import { inLoadTime } from "../platform/load-code.ts";
import type { SyncEngine } from "../engine/engine.ts";
import { toChange } from "../outbox/plain.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The replica, including the changes of the current optimistic update. */
export interface OptimisticStore {
  /** Returns a row as it is shown now, or null. */
  get(entity: string, id: string): Row | null;
  /** Returns all rows of an entity in the replica, in no particular order. */
  list(entity: string): readonly Row[];
  /**
   * Inserts a row locally. If the function inserts it with the same id, the server's row replaces
   * it; otherwise both are shown for a moment.
   *
   * @returns the row's id
   */
  insert(entity: string, data: Fields): string;
  /** Changes values of a row locally. */
  update(entity: string, id: string, patch: Fields): void;
  /** Hides a row locally. */
  delete(entity: string, id: string): void;
}

/**
 * Applies the writes that a function is about to make. It runs immediately and must be synchronous.
 */
export type OptimisticUpdate<A> = (store: OptimisticStore, args: A) => void;

/**
 * Calls a function, and shows its expected writes until the replica has received the real ones. If
 * the call fails, or another user signs in, the expected writes are rolled back.
 *
 * @param call is called after the update was applied
 * @returns the function's result
 * @throws PylonClientError of the call; an error of the update, in which case nothing is called
 * @example
 * import { callShowing, type OptimisticStore } from "@pylonsync/sync/bindings";
 *
 * const show = (store: OptimisticStore) => store.update("Todo", id, { done: true });
 * await callShowing(engine, show, () => engine.fn("finish", { id }));
 */
export async function callShowing<R>(
  sync: SyncEngine,
  update: (store: OptimisticStore) => void,
  call: () => Promise<R>,
): Promise<R> {
  const shown = new ShownChanges(sync);
  try {
    update(shown);
    const result = await call();
    void shown.releaseWhenHeld();
    return result;
  } catch (error) {
    shown.takeBack();
    throw error;
  }
}

/** The local changes of one call. */
class ShownChanges implements OptimisticStore {
  readonly #sync: SyncEngine;
  readonly #newId: () => string;
  /** The ids of the queue entries. */
  readonly #ids: string[] = [];

  constructor(sync: SyncEngine) {
    this.#sync = sync;
    this.#newId = createIdFactory(sync.platform.now, sync.platform.randomBytes);
  }

  get(entity: string, id: string): Row | null {
    return this.#sync.store.get(entity, id);
  }
  list(entity: string): readonly Row[] {
    return this.#sync.store.list(entity);
  }
  insert(entity: string, { id, ...data }: Fields): string {
    const rowId = typeof id === "string" ? id : this.#newId();
    this.#show({ entity, row_id: rowId, kind: "insert" }, data);
    return rowId;
  }
  update(entity: string, id: string, patch: Fields): void {
    this.#show({ entity, row_id: id, kind: "update" }, patch);
  }
  delete(entity: string, id: string): void {
    this.#show({ entity, row_id: id, kind: "delete" });
  }

  takeBack(): void {
    for (const id of this.#ids) this.#sync.mutations.remove(id);
  }

  /**
   * The response of a function does not say which changes it made. An empty push returns the newest
   * change, and a replica that has it has all writes of the function.
   */
  async releaseWhenHeld(): Promise<void> {
    if (this.#ids.length === 0) return;
    const { mutations, store } = this.#sync;
    try {
      const { logHead } = await inLoadTime(this.#sync.platform, import("../connection/extras.ts"));
      const head = await logHead(this.#sync);
      const results = this.#ids.map((id) => ({ op_id: id, status: "applied" as const }));
      mutations.answer(results, head, store.cursor.last_seq);
    } catch {
      // If the server can't tell, the replica's current position has to do.
      this.takeBack();
    }
  }

  #show(target: Omit<ClientChange, "op_id" | "data">, fields?: Fields): void {
    this.#ids.push(this.#sync.showWhileCalling(toChange(target, fields)));
  }
}
