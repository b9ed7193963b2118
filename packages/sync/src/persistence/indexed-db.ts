import { openDB, type DBSchema, type IDBPDatabase, type IDBPTransaction } from "idb";
import { isSame } from "../session.ts";
import type { Disk, KeptReplica, KeptRow, KeptSession, KeptWrite, ReplicaHead } from "./disk.ts";

/** A newer layout gets a higher number; an engine that is older than the layout goes without. */
const VERSION = 1;
/** Rows in one transaction: a longer one would keep the other tabs waiting. */
const CHUNK = 1000;

/**
 * While a replica is written in several transactions nobody may take it for a whole one, or write
 * into it.
 */
interface Unfinished {
  readonly writer: string;
}

interface Layout extends DBSchema {
  session: { key: "session"; value: KeptSession };
  head: { key: "head"; value: ReplicaHead | Unfinished };
  rows: { key: [entity: string, id: string]; value: KeptRow };
  /** Numbered in the order in which all tabs wrote them. */
  writes: { key: number; value: KeptWrite; indexes: { id: string; owner: string } };
}

const STORES = ["session", "head", "rows", "writes"] as const;
type StoreName = (typeof STORES)[number];

/**
 * Opens the database of an app and its server in this browser. A connection that the browser
 * closes, of a tab in the background or where storage is short, is opened again when it is needed.
 *
 * @throws DOMException where it can't be had, as in some private windows
 */
export async function openIndexedDb(appName: string, server: string): Promise<Disk> {
  const connection = new DbConnection(`pylon:${appName}:${server}`);
  await connection.use(async () => undefined);
  return new IndexedDbDisk(connection);
}

/** What a browser throws at a connection that it has closed; the second is Safari's. */
const CLOSED = ["InvalidStateError", "UnknownError"];

class DbConnection {
  readonly #name: string;
  #opening: Promise<IDBPDatabase<Layout>> | null = null;
  #isDone = false;

  constructor(name: string) {
    this.#name = name;
  }

  /** Does something that may be done twice, because the connection may close on the way. */
  async use<T>(work: (db: IDBPDatabase<Layout>) => Promise<T>): Promise<T> {
    const opening = this.#open();
    try {
      return await work(await opening);
    } catch (error) {
      const isClosed = error instanceof Error && CLOSED.includes(error.name);
      if (isClosed && opening === this.#opening) this.#opening = null;
      if (this.#isDone || opening === this.#opening) throw error;
      return work(await this.#open());
    }
  }

  close(): void {
    this.#isDone = true;
    void this.#opening?.then(
      (db) => db.close(),
      () => undefined,
    );
  }

  #open(): Promise<IDBPDatabase<Layout>> {
    if (this.#opening !== null) return this.#opening;
    const forget = (): void => {
      if (this.#opening === opening) this.#opening = null;
    };
    const opening: Promise<IDBPDatabase<Layout>> = openDB<Layout>(this.#name, VERSION, {
      upgrade: createStores,
      // Another tab has a newer version of the app, or somebody deletes the database.
      blocking: (_current, _blocked, event) => {
        (event.target as IDBDatabase).close();
        forget();
      },
      terminated: forget,
    });
    this.#opening = opening;
    opening.catch(forget);
    return opening;
  }
}

function createStores(db: IDBPDatabase<Layout>): void {
  db.createObjectStore("session");
  db.createObjectStore("head");
  db.createObjectStore("rows", { keyPath: ["entity", "id"] });
  const writes = db.createObjectStore("writes", { autoIncrement: true });
  writes.createIndex("id", "id", { unique: true });
  writes.createIndex("owner", "owner");
}

class IndexedDbDisk implements Disk {
  readonly #connection: DbConnection;

  constructor(connection: DbConnection) {
    this.#connection = connection;
  }

  readSession(): Promise<KeptSession | null> {
    return this.#use(async (db) => (await db.get("session", "session")) ?? null);
  }
  async writeSession(kept: KeptSession): Promise<void> {
    await this.#use((db) => db.put("session", kept, "session"));
  }

  async readReplica(): Promise<KeptReplica | null> {
    const [head, rows] = await this.#in(["head", "rows"], "readonly", (tx) =>
      Promise.all([tx.objectStore("head").get("head"), tx.objectStore("rows").getAll()]),
    );
    return head === undefined || "writer" in head ? null : { head, rows };
  }

  async replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>, writer: string): Promise<void> {
    const isOlder = await this.#in(["head", "rows"], "readwrite", async (tx) => {
      const kept = await tx.objectStore("head").get("head");
      if (
        kept !== undefined &&
        !("writer" in kept) &&
        isSameReplica(kept, head) &&
        kept.seq > head.seq
      )
        return true;
      await Promise.all([
        tx.objectStore("rows").clear(),
        tx.objectStore("head").put({ writer }, "head"),
      ]);
      return false;
    });
    if (isOlder) return;
    for (const chunk of chunksOf(rows)) if (!(await this.#write(writer, chunk))) return;
    await this.#write(writer, [], head);
  }

  patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean> {
    return this.#in(["head", "rows"], "readwrite", async (tx) => {
      const kept = await tx.objectStore("head").get("head");
      const known =
        kept !== undefined && !("writer" in kept) && isSameReplica(kept, head) ? kept.seq : null;
      if (known !== null && from <= known && known <= head.seq) {
        const table = tx.objectStore("rows");
        const done = rows.map(({ entity, id, row }) =>
          row === null ? table.delete([entity, id]) : table.put({ entity, id, row }),
        );
        await Promise.all([...done, tx.objectStore("head").put(head, "head")]);
      }
      return known === null || from <= known;
    });
  }

  dropReplica(): Promise<void> {
    return this.#clear(["session", "head", "rows"]);
  }

  readWrites(owner: string): Promise<readonly KeptWrite[]> {
    return this.#use((db) => db.getAllFromIndex("writes", "owner", owner));
  }

  addWrites(writes: readonly KeptWrite[]): Promise<void> {
    return this.#in(["writes"], "readwrite", async (tx) => {
      const table = tx.objectStore("writes");
      for (const write of writes)
        if ((await table.index("id").getKey(write.id)) === undefined) await table.add(write);
    });
  }

  async keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const found = await this.#in(["writes"], "readonly", (tx) =>
      Promise.all(ids.map((id) => tx.objectStore("writes").index("id").getKey(id))),
    );
    return new Set(ids.filter((_, index) => found[index] !== undefined));
  }

  removeWrites(ids: readonly string[]): Promise<void> {
    return this.#in(["writes"], "readwrite", async (tx) => {
      const table = tx.objectStore("writes");
      for (const id of ids) {
        const key = await table.index("id").getKey(id);
        if (key !== undefined) await table.delete(key);
      }
    });
  }

  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void> {
    return this.#in(["writes"], "readwrite", async (tx) => {
      for (
        let cursor = await tx.objectStore("writes").openCursor();
        cursor !== null;
        cursor = await cursor.continue()
      ) {
        const { value } = cursor;
        if (value.owner === owner) continue;
        if (value.owner === proof) await cursor.update({ ...value, owner });
        else if (isAlone) await cursor.delete();
      }
    });
  }

  clear(): Promise<void> {
    return this.#clear(STORES);
  }

  close(): void {
    this.#connection.close();
  }

  #clear(names: readonly StoreName[]): Promise<void> {
    return this.#in(names, "readwrite", async (tx) => {
      await Promise.all(names.map((name) => tx.objectStore(name).clear()));
    });
  }

  /** @returns false when another tab writes a replica of its own, or somebody has signed out */
  #write(writer: string, rows: readonly KeptRow[], head?: ReplicaHead): Promise<boolean> {
    return this.#in(["head", "rows"], "readwrite", async (tx) => {
      const kept = await tx.objectStore("head").get("head");
      const isMine = kept !== undefined && "writer" in kept && kept.writer === writer;
      if (isMine) {
        const table = tx.objectStore("rows");
        await Promise.all([
          ...rows.map((row) => table.put(row)),
          ...(head === undefined ? [] : [tx.objectStore("head").put(head, "head")]),
        ]);
      }
      return isMine;
    });
  }

  /** Does it in one transaction. @returns once that is on disk */
  #in<T, Mode extends IDBTransactionMode>(
    names: readonly StoreName[],
    mode: Mode,
    work: (tx: IDBPTransaction<Layout, StoreName[], Mode>) => Promise<T>,
  ): Promise<T> {
    return this.#use(async (db) => {
      const tx = db.transaction([...names], mode);
      const [result] = await Promise.all([work(tx), tx.done]);
      return result;
    });
  }

  #use<T>(work: (db: IDBPDatabase<Layout>) => Promise<T>): Promise<T> {
    return this.#connection.use(work);
  }
}

/** Whether one may be continued with the other's rows: the same log and caller. */
function isSameReplica(one: ReplicaHead, other: ReplicaHead): boolean {
  return one.epoch === other.epoch && isSame(one.session, other.session);
}

function* chunksOf(rows: Iterable<KeptRow>): Generator<readonly KeptRow[]> {
  let chunk: KeptRow[] = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
