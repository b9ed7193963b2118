import type { MutationQueuePersistence, PendingMutation, Row, SyncCursor } from "@pylonsync/sync";
import type { AsyncStorageModule } from "./native-modules.ts";
import type { OfflinePersistence } from "./offline-store.ts";
import { asyncStorageTexts } from "./texts.ts";

/** The number of rows per read: on Android, AsyncStorage has a window of about 2 MB. */
const ROWS_AT_ONCE = 100;

interface StoredRow {
  readonly entity: string;
  readonly id: string;
  readonly data: Row;
}

/**
 * Stores an app's own rows and writes in AsyncStorage, one text each, with the interface of
 * `IndexedDBPersistence`. The engine stores its replica automatically, as configured with `native`
 * of `init`, and does not need it: it is for additional rows of an app.
 *
 * A damaged text is treated as missing. Methods reject with the errors of AsyncStorage, which is
 * limited to 6 MB on Android unless the app raises the limit.
 *
 * @example
 * import { AsyncStoragePersistence, type AsyncStorageModule } from "@pylonsync/react-native";
 *
 * const keepIn = async (asyncStorage: AsyncStorageModule) => {
 *   const kept = new AsyncStoragePersistence(asyncStorage, "todo");
 *   await kept.saveRow("Todo", "1", { title: "milk" });
 *   return (await kept.loadAllEntities()).Todo;
 * };
 */
export class AsyncStoragePersistence implements OfflinePersistence {
  readonly #texts: ReturnType<typeof asyncStorageTexts>;
  readonly #prefix: string;
  /** The storage for a `MutationQueue`, for its `attachPersistence`. */
  readonly mutations: MutationQueuePersistence = {
    saveAll: (writes) => this.#write("writes", writes),
    loadAll: async () => (await this.#read<readonly PendingMutation[]>("writes")) ?? [],
  };

  /** @param appName separates the rows of apps */
  constructor(asyncStorage: AsyncStorageModule, appName = "default") {
    this.#texts = asyncStorageTexts(asyncStorage);
    this.#prefix = `pylon-rows:${encodeURIComponent(appName)}:`;
  }

  /** Has no effect; exists for compatibility with `IndexedDBPersistence`. */
  open(): Promise<void> {
    return Promise.resolve();
  }
  /** Has no effect. */
  close(): void {}

  /** @param data the row's fields; `id` is added */
  saveRow(entity: string, id: string, data: Readonly<Record<string, unknown>>): Promise<void> {
    const stored: StoredRow = { entity, id, data: { ...data, id } };
    return this.#write(nameOf(entity, id), stored);
  }
  async getRow(entity: string, id: string): Promise<Row | null> {
    return (await this.#read<StoredRow>(nameOf(entity, id)))?.data ?? null;
  }
  async deleteRow(entity: string, id: string): Promise<void> {
    await this.#texts.remove([this.#prefix + nameOf(entity, id)]);
  }
  /** Returns all rows of all entities, in no particular order. */
  async loadAll(): Promise<{ readonly entity: string; readonly id: string; readonly data: Row }[]> {
    const keys = await this.#texts.keys(`${this.#prefix}row:`);
    const rows: StoredRow[] = [];
    for (let from = 0; from < keys.length; from += ROWS_AT_ONCE)
      for (const text of await this.#texts.read(keys.slice(from, from + ROWS_AT_ONCE))) {
        const row = parsed<StoredRow>(text);
        if (row !== null) rows.push(row);
      }
    return rows;
  }
  /** Returns all rows, by entity. */
  async loadAllEntities(): Promise<Record<string, Row[]>> {
    const entities = new Map<string, Row[]>();
    for (const { entity, data } of await this.loadAll()) {
      const own = entities.get(entity) ?? [];
      entities.set(entity, own);
      own.push(data);
    }
    return Object.fromEntries(entities);
  }

  saveCursor({ last_seq }: SyncCursor): Promise<void> {
    return this.#write("cursor", { last_seq });
  }
  loadCursor(): Promise<SyncCursor | null> {
    return this.#read<SyncCursor>("cursor");
  }

  /** Deletes the rows, cursor and writes of this app. */
  async clear(): Promise<void> {
    const keys = await this.#texts.keys(this.#prefix);
    if (keys.length > 0) await this.#texts.remove(keys);
  }

  #write(name: string, value: unknown): Promise<void> {
    return this.#texts.write([[this.#prefix + name, JSON.stringify(value)]]);
  }
  async #read<T>(name: string): Promise<T | null> {
    const [text = null] = await this.#texts.read([this.#prefix + name]);
    return parsed<T>(text);
  }
}

/** Ids may contain any character, but names of entities contain no slash. */
function nameOf(entity: string, id: string): string {
  return `row:${entity}/${id}`;
}

function parsed<T>(text: string | null): T | null {
  try {
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}
