import { codeNotLoaded } from "../connection/errors.ts";
import type * as Extras from "../connection/extras.ts";
import { rowsIn, type ChunkText } from "./chunk-rows.ts";
import type {
  Disk,
  KeptReplica,
  KeptResult,
  KeptResults,
  KeptRow,
  KeptSession,
  KeptWrite,
  ReplicaHead,
} from "./disk.ts";
import { asked, Database, type Stores } from "./idb.ts";
import {
  CHUNKS_AT_ONCE,
  headIn,
  isSameReplica,
  type StoredHead,
  type StoreName,
} from "./indexed-db-layout.ts";

/** Must be increased for a new layout; an older engine works without persistence then. */
const VERSION = 4;
/**
 * Opens the database of an app and its server in this browser.
 *
 * @throws DOMException if it is unavailable, as in some private windows
 */
export async function openIndexedDb(appName: string, server: string): Promise<Disk> {
  const database = new Database<StoreName>({
    name: `pylon:${appName}:${server}`,
    version: VERSION,
    upgrade: createStores,
  });
  await database.open();
  return new IndexedDbDisk(database);
}

function createStores(db: IDBDatabase, from: number): void {
  if (from < 2) db.createObjectStore("chunks");
  if (from < 3) db.createObjectStore("results");
  db.createObjectStore("documents", { keyPath: "id" });
  if (from > 0) return;
  db.createObjectStore("session");
  db.createObjectStore("head");
  db.createObjectStore("rows", { keyPath: ["entity", "id"] });
  const writes = db.createObjectStore("writes", { autoIncrement: true });
  writes.createIndex("id", "id", { unique: true });
  writes.createIndex("owner", "owner");
}

class IndexedDbDisk implements Disk {
  readonly database: Database<StoreName>;

  constructor(database: Database<StoreName>) {
    this.database = database;
  }

  readSession(): Promise<KeptSession | null> {
    return this.database.in(["session"], "readonly", async (stores) => {
      const kept: KeptSession | undefined = await asked(stores("session").get("session"));
      return kept ?? null;
    });
  }
  async writeSession(kept: KeptSession): Promise<void> {
    await this.database.in(["session"], "readwrite", (stores) =>
      asked(stores("session").put(kept, "session")),
    );
  }

  readReplica(): Promise<KeptReplica | null> {
    return this.database.in(["head", "chunks", "rows"], "readonly", async (stores) => {
      const kept = await headIn(stores);
      if (kept === null) return null;
      const { chunks = 0, ...head } = kept;
      const loose: KeptRow[] = await asked(stores("rows").getAll());
      const newer = new Set(loose.map(keyOf));
      const rows: KeptRow[] = [];
      for (let first = 0; first < chunks; first += CHUNKS_AT_ONCE)
        for (const text of await readChunks(
          stores,
          first,
          Math.min(chunks, first + CHUNKS_AT_ONCE),
        ))
          for (const row of rowsIn(text))
            if (newer.size === 0 || !newer.has(keyOf(row))) rows.push(row);
      for (const row of loose) rows.push(row);
      return { head, rows };
    });
  }

  async replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>, writer: string): Promise<void> {
    const { replaceReplica } = await writing();
    return replaceReplica(this.database, head, rows, writer);
  }

  async patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean> {
    const { patchReplica } = await writing();
    return patchReplica(this.database, head, from, rows);
  }

  claimReplica(head: ReplicaHead, epoch: string): Promise<boolean> {
    return this.database.in(["head"], "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept === null || !isSameReplica(kept, head) || kept.seq !== head.seq) return false;
      await asked(stores("head").put({ ...kept, epoch } satisfies StoredHead, "head"));
      return true;
    });
  }

  readResults(): Promise<KeptResults | null> {
    return this.database.in(["head", "results"], "readonly", async (stores) => {
      const kept = await headIn(stores);
      const results: readonly KeptResult[] | undefined = await asked(
        stores("results").get("results"),
      );
      return kept === null || results === undefined ? null : { head: kept, results };
    });
  }

  writeResults({ head, results }: KeptResults): Promise<void> {
    return this.database.in(["head", "results"], "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept !== null && isSameReplica(kept, head))
        await asked(stores("results").put(results, "results"));
    });
  }

  dropReplica(): Promise<void> {
    return this.#clear(["session", "head", "chunks", "rows", "results"]);
  }

  readWrites(owner: string): Promise<readonly KeptWrite[]> {
    return this.database.in(["writes"], "readonly", async (stores) => {
      const writes: KeptWrite[] = await asked(stores("writes").index("owner").getAll(owner));
      return writes;
    });
  }

  addWrites(writes: readonly KeptWrite[]): Promise<void> {
    return this.database.in(["writes"], "readwrite", async (stores) => {
      const table = stores("writes");
      for (const write of writes)
        if ((await asked(table.index("id").getKey(write.id))) === undefined)
          await asked(table.add(write));
    });
  }

  async keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await this.database.in(["writes"], "readonly", (stores) =>
      Promise.all(ids.map((id) => asked(stores("writes").index("id").getKey(id)))),
    );
    return new Set(ids.filter((_, index) => found[index] !== undefined));
  }

  removeWrites(ids: readonly string[]): Promise<void> {
    return this.database.in(["writes"], "readwrite", async (stores) => {
      const table = stores("writes");
      for (const id of ids) {
        const key = await asked(table.index("id").getKey(id));
        if (key !== undefined) await asked(table.delete(key));
      }
    });
  }

  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void> {
    return this.database.in(["writes"], "readwrite", async (stores) => {
      const table = stores("writes");
      const keys = await asked(table.getAllKeys());
      const writes: KeptWrite[] = await asked(table.getAll());
      for (const [index, key] of keys.entries()) {
        const write = writes[index];
        if (write === undefined || write.owner === owner) continue;
        if (write.owner === proof) await asked(table.put({ ...write, owner }, key));
        else if (isAlone) await asked(table.delete(key));
      }
    });
  }

  clear(): Promise<void> {
    return this.#clear(["session", "head", "chunks", "rows", "results", "writes", "documents"]);
  }

  close(): void {
    this.database.close();
  }

  #clear(names: readonly StoreName[]): Promise<void> {
    return this.database.in(names, "readwrite", async (stores) => {
      await Promise.all(names.map((name) => asked(stores(name).clear())));
    });
  }
}

/**
 * Loads the code that writes rows, which a page needs after it has shown them.
 *
 * @throws PylonClientError `CODE_NOT_LOADED`
 */
function writing(): Promise<typeof Extras> {
  return import("../connection/extras.ts").catch((cause: unknown) => {
    throw codeNotLoaded(cause);
  });
}

async function readChunks(
  stores: Stores<StoreName>,
  from: number,
  to: number,
): Promise<ChunkText[]> {
  const texts: (ChunkText | undefined)[] = await Promise.all(
    Array.from({ length: to - from }, (_, index) => asked(stores("chunks").get(from + index))),
  );
  return texts.filter((text) => text !== undefined);
}

/** Names of entities contain no slash. */
function keyOf({ entity, id }: KeptRow): string {
  return `${entity}/${id}`;
}
