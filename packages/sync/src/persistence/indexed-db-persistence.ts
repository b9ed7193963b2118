import type { Row } from "@pylonsync/protocol";
import type { MutationQueuePersistence, PendingMutation } from "../outbox/mutation-queue.ts";
import type { LocalChange } from "../replica/local-changes.ts";
import type { SyncCursor } from "../replica/local-store.ts";
import { asked, Database } from "./idb.ts";

/** The layout of older clients, so that their data is found. */
const VERSION = 2;

type StoreName = "entities" | "cursors" | "pendingMutations";

interface StoredRow {
  /** `Entity:id`. */
  readonly _key: string;
  readonly entity: string;
  readonly id: string;
  readonly data: Row;
}

/**
 * The storage for an app's own rows, for `persistChange`: `IndexedDBPersistence`, or
 * `AsyncStoragePersistence` of `@pylonsync/react-native`.
 */
export interface RowPersistence {
  getRow(entity: string, id: string): Promise<Row | null>;
  saveRow(entity: string, id: string, data: Readonly<Record<string, unknown>>): Promise<void>;
  deleteRow(entity: string, id: string): Promise<void>;
}

/**
 * Stores an app's own rows in IndexedDB, one record each. The engine stores its replica
 * automatically and does not need it: it is for additional rows of an app, and for data that a
 * client of the public system has stored.
 *
 * @example
 * const kept = new IndexedDBPersistence("todo");
 * await kept.open();
 * await kept.saveRow("Todo", "1", { id: "1", title: "milk" });
 * const todos = (await kept.loadAllEntities()).Todo;
 */
export class IndexedDBPersistence implements RowPersistence {
  readonly #db: Database<StoreName>;
  /** The storage for a `MutationQueue`, for its `attachPersistence`. */
  readonly mutations: MutationQueuePersistence = {
    saveAll: (writes) => this.#saveMutations(writes),
    loadAll: () => this.#loadMutations(),
  };

  constructor(appName = "default") {
    this.#db = new Database<StoreName>({
      name: `pylon_sync_${appName}`,
      version: VERSION,
      upgrade: createStores,
    });
  }

  /** @throws DOMException without IndexedDB, as in some private windows */
  open(): Promise<void> {
    return this.#db.open();
  }
  /** Closes the database. */
  close(): void {
    this.#db.close();
  }

  async saveRow(
    entity: string,
    id: string,
    data: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const stored: StoredRow = { _key: keyOf(entity, id), entity, id, data: { ...data, id } };
    await this.#db.in(["entities"], "readwrite", (stores) => asked(stores("entities").put(stored)));
  }
  getRow(entity: string, id: string): Promise<Row | null> {
    return this.#db.in(["entities"], "readonly", async (stores) => {
      const found: StoredRow | undefined = await asked(stores("entities").get(keyOf(entity, id)));
      return found?.data ?? null;
    });
  }
  async deleteRow(entity: string, id: string): Promise<void> {
    await this.#db.in(["entities"], "readwrite", (stores) =>
      asked(stores("entities").delete(keyOf(entity, id))),
    );
  }
  /** Returns all rows of all entities. */
  loadAll(): Promise<{ readonly entity: string; readonly id: string; readonly data: Row }[]> {
    return this.#db.in(["entities"], "readonly", async (stores) => {
      const stored: StoredRow[] = await asked(stores("entities").getAll());
      return stored.map(({ entity, id, data }) => ({ entity, id, data }));
    });
  }
  /** Returns all rows, by entity. */
  async loadAllEntities(): Promise<Record<string, Row[]>> {
    const entities = new Map<string, Row[]>();
    for (const { entity, data } of await this.loadAll()) {
      const own = entities.get(entity);
      if (own === undefined) entities.set(entity, [data]);
      else own.push(data);
    }
    return Object.fromEntries(entities);
  }

  async saveCursor({ last_seq }: SyncCursor): Promise<void> {
    await this.#db.in(["cursors"], "readwrite", (stores) =>
      asked(stores("cursors").put({ key: "cursor", last_seq })),
    );
  }
  loadCursor(): Promise<SyncCursor | null> {
    return this.#db.in(["cursors"], "readonly", async (stores) => {
      const found: SyncCursor | undefined = await asked(stores("cursors").get("cursor"));
      return found === undefined ? null : { last_seq: found.last_seq };
    });
  }

  /** Deletes rows, cursor and writes. */
  async clear(): Promise<void> {
    const names: readonly StoreName[] = ["entities", "cursors", "pendingMutations"];
    await this.#db.in(names, "readwrite", (stores) =>
      Promise.all(names.map((name) => asked(stores(name).clear()))),
    );
  }

  async #saveMutations(writes: readonly PendingMutation[]): Promise<void> {
    await this.#db.in(["pendingMutations"], "readwrite", async (stores) => {
      const store = stores("pendingMutations");
      await asked(store.clear());
      // A key path would order by id, but the queue has its own order.
      for (const [place, write] of writes.entries()) await asked(store.put({ ...write, place }));
    });
  }
  #loadMutations(): Promise<readonly PendingMutation[]> {
    return this.#db.in(["pendingMutations"], "readonly", async (stores) => {
      const stored: (PendingMutation & { readonly place?: number })[] = await asked(
        stores("pendingMutations").getAll(),
      );
      return stored
        .toSorted((one, other) => (one.place ?? 0) - (other.place ?? 0))
        .map(({ place: _place, ...write }) => write);
    });
  }
}

/**
 * Stores the result of a change.
 *
 * @example
 * const kept = new IndexedDBPersistence("todo");
 * await persistChange(kept, { entity: "Todo", row_id: "1", kind: "delete" });
 */
export async function persistChange(
  persistence: RowPersistence,
  { entity, row_id: id, kind, data }: LocalChange,
): Promise<void> {
  if (kind === "delete") return persistence.deleteRow(entity, id);
  const before = kind === "update" ? await persistence.getRow(entity, id) : null;
  await persistence.saveRow(entity, id, { ...before, ...data });
}

function createStores(db: IDBDatabase): void {
  const keyPaths: Readonly<Record<StoreName, string>> = {
    entities: "_key",
    cursors: "key",
    pendingMutations: "id",
  };
  for (const [name, keyPath] of Object.entries(keyPaths))
    if (!db.objectStoreNames.contains(name)) db.createObjectStore(name, { keyPath });
}

function keyOf(entity: string, id: string): string {
  return `${entity}:${id}`;
}
