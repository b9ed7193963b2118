import {
  LocalStore,
  MutationQueue,
  persistChange,
  type LocalChange,
  type MutationQueuePersistence,
  type Row,
  type RowPersistence,
  type SyncCursor,
} from "@pylonsync/sync";

/** The storage of an `OfflineStore`: an `AsyncStoragePersistence` or `IndexedDBPersistence`. */
export interface OfflinePersistence extends RowPersistence {
  readonly mutations: MutationQueuePersistence;
  open(): Promise<void>;
  close(): void;
  loadAll(): Promise<{ readonly entity: string; readonly id: string; readonly data: Row }[]>;
  saveCursor(cursor: SyncCursor): Promise<void>;
  loadCursor(): Promise<SyncCursor | null>;
  clear(): Promise<void>;
}

/**
 * An app's own rows and unsent writes, which are readable synchronously and survive restarts: a
 * `LocalStore` and a `MutationQueue` with a persistence. It does not contact a server; `db` and the
 * hooks do, and store their data automatically.
 *
 * @example
 * import { OfflineStore, type OfflinePersistence } from "@pylonsync/react-native";
 *
 * const openDrafts = async (persistence: OfflinePersistence) => {
 *   const drafts = new OfflineStore(persistence);
 *   await drafts.open();
 *   await drafts.applyChange({
 *     entity: "Draft",
 *     row_id: "1",
 *     kind: "insert",
 *     data: { text: "Hello" },
 *   });
 *   return drafts.list("Draft");
 * };
 */
export class OfflineStore {
  /** The rows; write with `applyChange`, which also stores them. */
  readonly store = new LocalStore();
  /** The unsent writes, which are stored automatically. */
  readonly mutations = new MutationQueue();
  readonly #persistence: OfflinePersistence;
  /** Serializes writes: a row that is set and immediately deleted must be gone. */
  #turn: Promise<void> = Promise.resolve();

  constructor(persistence: OfflinePersistence) {
    this.#persistence = persistence;
    this.mutations.attachPersistence(persistence.mutations);
  }

  /**
   * Loads the stored rows, cursor and writes.
   *
   * @throws the errors of the persistence, such as a full or damaged disk
   */
  async open(): Promise<void> {
    await this.#persistence.open();
    const [rows, cursor] = await Promise.all([
      this.#persistence.loadAll(),
      this.#persistence.loadCursor(),
      this.mutations.hydrate(),
    ]);
    this.store.restore(
      rows.map(({ entity, id, data }) => ({ entity, id, row: data })),
      cursor?.last_seq ?? 0,
    );
  }
  /** Waits for pending writes, and closes the persistence. */
  async close(): Promise<void> {
    await this.#turn;
    this.#persistence.close();
  }

  /** Returns all rows of an entity, in no particular order. */
  list(entity: string): Row[] {
    return this.store.list(entity);
  }
  /** Returns a row, or null. */
  get(entity: string, id: string): Row | null {
    return this.store.get(entity, id);
  }
  /** Calls the listener after rows of the entity have changed. @returns an unsubscribe function */
  subscribe(entity: string, listener: () => void): () => void {
    return this.store.subscribe(entity, listener);
  }

  /**
   * Shows a change immediately, and resolves when it is stored. An `insert` replaces an existing
   * row, and an `update` creates a missing one.
   *
   * @throws the errors of the persistence; the change is shown nevertheless
   */
  applyChange(change: LocalChange): Promise<void> {
    const { entity, row_id: id, kind, data } = change;
    const before = kind === "update" ? this.get(entity, id) : null;
    const whole: LocalChange =
      kind === "delete" ? change : { ...change, kind: "insert", data: { ...before, ...data } };
    this.store.applyChanges([{ ...whole, seq: this.store.cursor.last_seq }]);
    return this.#inTurn(() => persistChange(this.#persistence, whole));
  }
  /** Stores the position in a server's log, which is `store.cursor` after the next `open`. */
  saveCursor(cursor: SyncCursor): Promise<void> {
    this.store.advanceTo(cursor.last_seq);
    return this.#inTurn(() => this.#persistence.saveCursor(cursor));
  }

  /** Deletes rows, cursor and unsent writes, as at a sign-out. */
  clear(): Promise<void> {
    this.mutations.dropAll();
    this.store.clearAll();
    return this.#inTurn(() => this.#persistence.clear());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
