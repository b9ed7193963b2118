import type { Row } from "@pylonsync/protocol";
import type { MutationQueuePersistence, PendingMutation } from "../outbox/mutation-queue.ts";
import type { LocalChange } from "../replica/local-changes.ts";
import type { SyncCursor } from "../replica/local-store.ts";
import { asked, Database } from "./idb.ts";

/** The layout that older clients have, so that what they kept is found. */
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
 * Rows in an IndexedDB of the app's own, one record each. The engine keeps its replica by itself
 * and needs none: this is for an app that keeps rows besides, and for what a client of the public
 * system has left.
 *
 * @example
 * const kept = new IndexedDBPersistence("todo");
 * await kept.open();
 * await kept.saveRow("Todo", "1", { id: "1", title: "milk" });
 * const todos = (await kept.loadAllEntities()).Todo;
 */
export class IndexedDBPersistence {
  readonly #db: Database<StoreName>;
  /** The writes of a `MutationQueue`, for its `attachPersistence`. */
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

  /** @throws DOMException where there is no IndexedDB, as in some private windows */
  open(): Promise<void> {
    return this.#db.open();
  }
  /** Lets go of the database. */
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
  /** All rows of all entities. */
  loadAll(): Promise<{ readonly entity: string; readonly id: string; readonly data: Row }[]> {
    return this.#db.in(["entities"], "readonly", async (stores) => {
      const stored: StoredRow[] = await asked(stores("entities").getAll());
      return stored.map(({ entity, id, data }) => ({ entity, id, data }));
    });
  }
  /** All rows, by entity. */
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

  /** Forgets rows, cursor and writes. */
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
      // A key path orders by id, and the queue has an order of its own.
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
 * Keeps what a change makes of a row.
 *
 * @example
 * const kept = new IndexedDBPersistence("todo");
 * await persistChange(kept, { entity: "Todo", row_id: "1", kind: "delete" });
 */
export async function persistChange(
  persistence: IndexedDBPersistence,
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
