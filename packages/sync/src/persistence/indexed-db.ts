import { openDB, type DBSchema, type IDBPDatabase } from "idb";
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

/**
 * Opens the database of an app and its server in this browser.
 *
 * @throws DOMException where it can't be had, as in some private windows
 */
export async function openIndexedDb(appName: string, server: string): Promise<Disk> {
  const db = await openDB<Layout>(`pylon:${appName}:${server}`, VERSION, {
    upgrade: (opened) => {
      opened.createObjectStore("session");
      opened.createObjectStore("head");
      opened.createObjectStore("rows", { keyPath: ["entity", "id"] });
      const writes = opened.createObjectStore("writes", { autoIncrement: true });
      writes.createIndex("id", "id", { unique: true });
      writes.createIndex("owner", "owner");
    },
    // Another tab has a newer version of the app, or somebody deletes the database.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
  });
  return new IndexedDbDisk(db);
}

class IndexedDbDisk implements Disk {
  readonly #db: IDBPDatabase<Layout>;

  constructor(db: IDBPDatabase<Layout>) {
    this.#db = db;
  }

  async readSession(): Promise<KeptSession | null> {
    return (await this.#db.get("session", "session")) ?? null;
  }
  async writeSession(kept: KeptSession): Promise<void> {
    await this.#db.put("session", kept, "session");
  }

  async readReplica(): Promise<KeptReplica | null> {
    const tx = this.#db.transaction(["head", "rows"]);
    const [head, rows] = await Promise.all([
      tx.objectStore("head").get("head"),
      tx.objectStore("rows").getAll(),
      tx.done,
    ]);
    return head === undefined || "writer" in head ? null : { head, rows };
  }

  async replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>, writer: string): Promise<void> {
    const begin = this.#db.transaction(["head", "rows"], "readwrite");
    const kept = await begin.objectStore("head").get("head");
    const isOlder =
      kept !== undefined && !("writer" in kept) && isSameReplica(kept, head) && kept.seq > head.seq;
    if (!isOlder)
      await Promise.all([
        begin.objectStore("rows").clear(),
        begin.objectStore("head").put({ writer }, "head"),
      ]);
    await begin.done;
    if (isOlder) return;
    for (const chunk of chunksOf(rows)) if (!(await this.#write(writer, chunk))) return;
    await this.#write(writer, [], head);
  }

  async patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean> {
    const tx = this.#db.transaction(["head", "rows"], "readwrite");
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
    await tx.done;
    return known === null || from <= known;
  }

  async dropReplica(): Promise<void> {
    const tx = this.#db.transaction(["session", "head", "rows"], "readwrite");
    await Promise.all([
      tx.objectStore("session").clear(),
      tx.objectStore("head").clear(),
      tx.objectStore("rows").clear(),
      tx.done,
    ]);
  }

  readWrites(owner: string): Promise<readonly KeptWrite[]> {
    return this.#db.getAllFromIndex("writes", "owner", owner);
  }

  async addWrites(writes: readonly KeptWrite[]): Promise<void> {
    const tx = this.#db.transaction("writes", "readwrite");
    for (const write of writes)
      if ((await tx.store.index("id").getKey(write.id)) === undefined) await tx.store.add(write);
    await tx.done;
  }

  async keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const tx = this.#db.transaction("writes");
    const found = await Promise.all(ids.map((id) => tx.store.index("id").getKey(id)));
    return new Set(ids.filter((_, index) => found[index] !== undefined));
  }

  async removeWrites(ids: readonly string[]): Promise<void> {
    const tx = this.#db.transaction("writes", "readwrite");
    for (const id of ids) {
      const key = await tx.store.index("id").getKey(id);
      if (key !== undefined) await tx.store.delete(key);
    }
    await tx.done;
  }

  async takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void> {
    const tx = this.#db.transaction("writes", "readwrite");
    for (
      let cursor = await tx.store.openCursor();
      cursor !== null;
      cursor = await cursor.continue()
    ) {
      const { value } = cursor;
      if (value.owner === owner) continue;
      if (value.owner === proof) await cursor.update({ ...value, owner });
      else if (isAlone) await cursor.delete();
    }
    await tx.done;
  }

  async clear(): Promise<void> {
    const tx = this.#db.transaction(STORES, "readwrite");
    await Promise.all([...STORES.map((name) => tx.objectStore(name).clear()), tx.done]);
  }

  close(): void {
    this.#db.close();
  }

  /** @returns false when another tab writes a replica of its own, or somebody has signed out */
  async #write(writer: string, rows: readonly KeptRow[], head?: ReplicaHead): Promise<boolean> {
    const tx = this.#db.transaction(["head", "rows"], "readwrite");
    const kept = await tx.objectStore("head").get("head");
    const isMine = kept !== undefined && "writer" in kept && kept.writer === writer;
    if (isMine) {
      const table = tx.objectStore("rows");
      await Promise.all([
        ...rows.map((row) => table.put(row)),
        ...(head === undefined ? [] : [tx.objectStore("head").put(head, "head")]),
      ]);
    }
    await tx.done;
    return isMine;
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
