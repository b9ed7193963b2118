import { isSame } from "../session/session.ts";
import { chunkCountFor, chunkOf, chunksOf, rowsIn, withoutRows, type ChunkText } from "./chunks.ts";
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

/** Must be increased for a new layout; an older engine works without persistence then. */
const VERSION = 3;
/** The number of chunks per transaction: more would block the page or other tabs. */
const CHUNKS_AT_ONCE = 8;
/** The minimum number of changed rows beside the chunks before everything is rewritten, */
const MIN_LOOSE_ROWS = 2_000;
/** and their minimum share of all rows. */
const UNUSED_PART = 0.2;

/**
 * While a replica is written in several transactions, it must not be read as complete, or written
 * by others.
 */
interface Unfinished {
  readonly writer: string;
}

/** `chunks`: the number of chunks; undefined in an older layout, which has none. */
type StoredHead = ReplicaHead & { readonly chunks?: number };

/**
 * - `chunks`: the rows as of the last complete write of the replica, by number
 * - `rows`: rows that have changed since, which override the chunks
 * - `results`: the results of queries, one value
 * - `writes`: numbered in the order in which all tabs wrote them
 */
type StoreName = "session" | "head" | "chunks" | "rows" | "results" | "writes";

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
  db.createObjectStore("results");
  if (from > 0) return;
  db.createObjectStore("session");
  db.createObjectStore("head");
  db.createObjectStore("rows", { keyPath: ["entity", "id"] });
  const writes = db.createObjectStore("writes", { autoIncrement: true });
  writes.createIndex("id", "id", { unique: true });
  writes.createIndex("owner", "owner");
}

class IndexedDbDisk implements Disk {
  readonly #db: Database<StoreName>;

  constructor(database: Database<StoreName>) {
    this.#db = database;
  }

  readSession(): Promise<KeptSession | null> {
    return this.#db.in(["session"], "readonly", async (stores) => {
      const kept: KeptSession | undefined = await asked(stores("session").get("session"));
      return kept ?? null;
    });
  }
  async writeSession(kept: KeptSession): Promise<void> {
    await this.#db.in(["session"], "readwrite", (stores) =>
      asked(stores("session").put(kept, "session")),
    );
  }

  readReplica(): Promise<KeptReplica | null> {
    return this.#db.in(["head", "chunks", "rows"], "readonly", async (stores) => {
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
    const names: readonly StoreName[] = ["head", "chunks", "rows", "results"];
    const isOlder = await this.#db.in(names, "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept !== null && isSameReplica(kept, head) && kept.seq > head.seq) return true;
      await Promise.all([
        asked(stores("rows").clear()),
        asked(stores("chunks").clear()),
        asked(stores("results").clear()),
        asked(stores("head").put({ writer } satisfies Unfinished, "head")),
      ]);
      return false;
    });
    if (isOlder) return;
    const all = [...rows];
    const chunks = chunkCountFor(all.length);
    let part: ChunkText[] = [];
    let first = 0;
    for (const text of chunksOf(all, chunks)) {
      part.push(text);
      if (part.length < CHUNKS_AT_ONCE) continue;
      if (!(await this.#write(writer, first, part))) return;
      first += part.length;
      part = [];
    }
    await this.#write(writer, first, part, { ...head, chunks });
  }

  patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean> {
    const names: readonly StoreName[] = ["head", "chunks", "rows", "results"];
    return this.#db.in(names, "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept === null || !isSameReplica(kept, head)) return true;
      if (kept.seq > head.seq) return true;
      if (kept.seq < from || (await hasTooMany(stores, kept, rows))) return false;
      const { chunks = 0 } = kept;
      await Promise.all([
        ...rows.map((row) =>
          row.row === null
            ? asked(stores("rows").delete([row.entity, row.id]))
            : asked(stores("rows").put(row)),
        ),
        ...(rows.length === 0 ? [] : [asked(stores("results").clear())]),
        ...(chunks === 0 ? [] : [removeRows(stores, chunks, rows)]),
        asked(stores("head").put({ ...head, chunks } satisfies StoredHead, "head")),
      ]);
      return true;
    });
  }

  claimReplica(head: ReplicaHead, epoch: string): Promise<boolean> {
    return this.#db.in(["head"], "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept === null || !isSameReplica(kept, head) || kept.seq !== head.seq) return false;
      await asked(stores("head").put({ ...kept, epoch } satisfies StoredHead, "head"));
      return true;
    });
  }

  readResults(): Promise<KeptResults | null> {
    return this.#db.in(["head", "results"], "readonly", async (stores) => {
      const kept = await headIn(stores);
      const results: readonly KeptResult[] | undefined = await asked(
        stores("results").get("results"),
      );
      return kept === null || results === undefined ? null : { head: kept, results };
    });
  }

  writeResults({ head, results }: KeptResults): Promise<void> {
    return this.#db.in(["head", "results"], "readwrite", async (stores) => {
      const kept = await headIn(stores);
      if (kept !== null && isSameReplica(kept, head))
        await asked(stores("results").put(results, "results"));
    });
  }

  dropReplica(): Promise<void> {
    return this.#clear(["session", "head", "chunks", "rows", "results"]);
  }

  readWrites(owner: string): Promise<readonly KeptWrite[]> {
    return this.#db.in(["writes"], "readonly", async (stores) => {
      const writes: KeptWrite[] = await asked(stores("writes").index("owner").getAll(owner));
      return writes;
    });
  }

  addWrites(writes: readonly KeptWrite[]): Promise<void> {
    return this.#db.in(["writes"], "readwrite", async (stores) => {
      const table = stores("writes");
      for (const write of writes)
        if ((await asked(table.index("id").getKey(write.id))) === undefined)
          await asked(table.add(write));
    });
  }

  async keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await this.#db.in(["writes"], "readonly", (stores) =>
      Promise.all(ids.map((id) => asked(stores("writes").index("id").getKey(id)))),
    );
    return new Set(ids.filter((_, index) => found[index] !== undefined));
  }

  removeWrites(ids: readonly string[]): Promise<void> {
    return this.#db.in(["writes"], "readwrite", async (stores) => {
      const table = stores("writes");
      for (const id of ids) {
        const key = await asked(table.index("id").getKey(id));
        if (key !== undefined) await asked(table.delete(key));
      }
    });
  }

  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void> {
    return this.#db.in(["writes"], "readwrite", async (stores) => {
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
    return this.#clear(["session", "head", "chunks", "rows", "results", "writes"]);
  }

  close(): void {
    this.#db.close();
  }

  #clear(names: readonly StoreName[]): Promise<void> {
    return this.#db.in(names, "readwrite", async (stores) => {
      await Promise.all(names.map((name) => asked(stores(name).clear())));
    });
  }

  /** @returns false if another tab writes its own replica, or the user has signed out */
  #write(
    writer: string,
    first: number,
    chunks: readonly ChunkText[],
    head?: StoredHead,
  ): Promise<boolean> {
    return this.#db.in(["head", "chunks"], "readwrite", async (stores) => {
      const kept: StoredHead | Unfinished | undefined = await asked(stores("head").get("head"));
      const isMine = kept !== undefined && "writer" in kept && kept.writer === writer;
      if (isMine)
        await Promise.all([
          ...chunks.map((text, index) => asked(stores("chunks").put(text, first + index))),
          ...(head === undefined ? [] : [asked(stores("head").put(head, "head"))]),
        ]);
      return isMine;
    });
  }
}

/** Returns the head of a complete replica. */
async function headIn(stores: Stores<StoreName>): Promise<StoredHead | null> {
  const kept: StoredHead | Unfinished | undefined = await asked(stores("head").get("head"));
  return kept === undefined || "writer" in kept ? null : kept;
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

/** Whether rewriting the complete replica is better than adding these rows. */
async function hasTooMany(
  stores: Stores<StoreName>,
  { chunks = 0 }: StoredHead,
  rows: readonly KeptRow[],
): Promise<boolean> {
  if (rows.length === 0) return false;
  const loose = (await asked(stores("rows").count())) + rows.length;
  return loose > MIN_LOOSE_ROWS && chunkCountFor(loose) > chunks * UNUSED_PART;
}

/** Removes deleted rows from the chunks. */
async function removeRows(
  stores: Stores<StoreName>,
  chunks: number,
  rows: readonly KeptRow[],
): Promise<void> {
  const gone = new Map<number, KeptRow[]>();
  for (const row of rows) {
    if (row.row !== null) continue;
    const chunk = chunkOf(row.entity, row.id, chunks);
    gone.set(chunk, [...(gone.get(chunk) ?? []), row]);
  }
  for (const [chunk, own] of gone) {
    const text: ChunkText | undefined = await asked(stores("chunks").get(chunk));
    if (text !== undefined) await asked(stores("chunks").put(withoutRows(text, own), chunk));
  }
}

/** Whether one replica continues the other: the same log and user. */
function isSameReplica(one: ReplicaHead, other: ReplicaHead): boolean {
  return one.epoch === other.epoch && isSame(one.session, other.session);
}

/** Names of entities contain no slash. */
function keyOf({ entity, id }: KeptRow): string {
  return `${entity}/${id}`;
}
