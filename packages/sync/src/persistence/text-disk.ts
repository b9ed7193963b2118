import { isSame } from "../session/session.ts";
import { rowsIn, type ChunkText } from "./chunk-rows.ts";
import { chunkCountFor, chunkOf, chunksOf } from "./chunks.ts";
import type {
  Disk,
  DocumentDisk,
  KeptDocumentPart,
  KeptReplica,
  KeptRow,
  KeptSession,
  KeptWrite,
  ReplicaHead,
} from "./disk.ts";

/**
 * A key-value store for texts on a platform without IndexedDB, such as AsyncStorage or a SQLite
 * table. Writing a single text must be atomic; writing several need not be.
 */
export interface TextStore {
  /** Returns the names of all texts with this prefix. */
  keys(prefix: string): Promise<readonly string[]>;
  /** Returns the texts, in the order of the names; null for one that does not exist. */
  read(keys: readonly string[]): Promise<readonly (string | null)[]>;
  write(texts: readonly (readonly [key: string, text: string])[]): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
}

/** The stored part of a replica: it is complete once its head exists. */
interface StoredHead extends ReplicaHead {
  /** The number of rows. */
  readonly count: number;
  /** The number of the write of each chunk, in their order. */
  readonly chunks: readonly number[];
  /** The number of the last write. */
  readonly write: number;
}

/** A part of a document, whose bytes are a text with a character for each. */
type StoredDocumentPart = Omit<KeptDocumentPart, "bytes"> & { readonly bytes: string };

/** A replica that has grown by this factor since its chunks were created is rewritten. */
const MAX_GROWTH = 2;
/** Pads numbers, so that their names sort correctly. */
const PLACE_DIGITS = 12;

const disks = new WeakMap<TextStore, Map<string, TextDisk>>();

/**
 * Opens the storage of an app on a server, for the `openDisk` of a `Platform`. Only one process at
 * a time may open it.
 *
 * @example
 * import { openTextDisk, type TextStore } from "@pylonsync/sync/text-disk";
 *
 * const openOn = (store: TextStore) => createSyncEngine("https://api.example.com", {
 *   platform: { openDisk: (app, server) => openTextDisk(store, app, server) },
 * });
 */
export async function openTextDisk(
  store: TextStore,
  appName: string,
  server: string,
): Promise<Disk> {
  const prefix = `pylon-disk:${appName}:${server}:`;
  const own = disks.get(store) ?? new Map<string, TextDisk>();
  disks.set(store, own);
  // A restarted engine must not overtake the writes of its previous run.
  const disk = own.get(prefix) ?? new TextDisk(store, prefix);
  own.set(prefix, disk);
  await disk.sweep();
  return disk;
}

class TextDisk implements Disk {
  readonly #store: TextStore;
  readonly #prefix: string;
  readonly documents: DocumentDisk = {
    read: () => this.#inTurn(() => this.#documentParts()),
    change: (added, removed) =>
      this.#inTurn(async () => {
        await this.#write(
          added.map((part) => {
            const stored: StoredDocumentPart = { ...part, bytes: textOf(part.bytes) };
            return [nameOfPart(part.id), JSON.stringify(stored)];
          }),
        );
        await this.#remove(removed.map(nameOfPart));
      }),
  };
  /** Serializes the work, so that nothing changes between its reads. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: TextStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  readSession(): Promise<KeptSession | null> {
    return this.#inTurn(() => this.#read<KeptSession>("session"));
  }
  writeSession(kept: KeptSession): Promise<void> {
    return this.#inTurn(() => this.#write([["session", JSON.stringify(kept)]]));
  }

  readReplica(): Promise<KeptReplica | null> {
    return this.#inTurn(async () => {
      const kept = await this.#head();
      if (kept === null) return null;
      const { chunks, count: _count, write: _write, ...head } = kept;
      const rows: KeptRow[] = [];
      for (const text of await this.#texts(chunks.map(nameOfChunk))) {
        const own = rowsOf(text);
        // Part of the storage was cleared or damaged.
        if (own === null) return null;
        for (const row of own) rows.push(row);
      }
      return { head, rows };
    });
  }

  replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>): Promise<void> {
    return this.#inTurn(async () => {
      const kept = await this.#head();
      if (kept !== null && isSameReplica(kept, head) && kept.seq > head.seq) return;
      // Deleted first, because there may not be space for two replicas.
      await this.#dropRows();
      const all = [...rows];
      const write = (kept?.write ?? 0) + 1;
      const count = Math.max(1, chunkCountFor(all.length));
      let index = 0;
      for (const text of chunksOf(all, count)) {
        await this.#write([[nameOfChunk(write, index), text]]);
        index += 1;
      }
      const chunks = Array.from({ length: count }, () => write);
      await this.#keepHead({ ...head, count: all.length, chunks, write });
    });
  }

  patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean> {
    return this.#inTurn(async () => {
      const kept = await this.#head();
      if (kept === null || !isSameReplica(kept, head) || kept.seq > head.seq) return true;
      if (kept.seq < from) return false;
      const patch = await this.#patched(kept, rows);
      if (patch === null) return false;
      const write = kept.write + 1;
      const chunks = kept.chunks.map((before, index) => (patch.texts.has(index) ? write : before));
      await this.#write(
        [...patch.texts].map(([index, text]) => [nameOfChunk(write, index), text] as const),
      );
      // From here on the new chunks are valid; before, the old ones were.
      await this.#keepHead({ ...head, count: patch.count, chunks, write });
      await this.#remove(
        [...patch.texts.keys()].map((index) => nameOfChunk(kept.chunks[index] ?? 0, index)),
      );
      return true;
    });
  }

  dropReplica(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#remove(["session"]);
      await this.#dropRows();
    });
  }

  readWrites(owner: string): Promise<readonly KeptWrite[]> {
    return this.#inTurn(async () =>
      [...(await this.#writes()).values()].filter((write) => write.owner === owner),
    );
  }

  addWrites(writes: readonly KeptWrite[]): Promise<void> {
    return this.#inTurn(async () => {
      const kept = await this.#writes();
      const known = new Set([...kept.values()].map(({ id }) => id));
      let place = Math.max(0, ...[...kept.keys()].map(placeOf));
      const added = writes.filter(({ id }) => !known.has(id));
      await this.#write(added.map((write) => [nameOfPlace((place += 1)), JSON.stringify(write)]));
    });
  }

  keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>> {
    return this.#inTurn(async () => {
      const kept = new Set([...(await this.#writes()).values()].map(({ id }) => id));
      return new Set(ids.filter((id) => kept.has(id)));
    });
  }

  removeWrites(ids: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      const gone = new Set(ids);
      const kept = [...(await this.#writes())];
      await this.#remove(kept.flatMap(([name, { id }]) => (gone.has(id) ? [name] : [])));
    });
  }

  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void> {
    return this.#inTurn(async () => {
      const others = [...(await this.#writes())].filter(([, write]) => write.owner !== owner);
      const own = others.filter(([, write]) => write.owner === proof);
      await this.#write(own.map(([name, write]) => [name, JSON.stringify({ ...write, owner })]));
      const foreign = others.filter(([, write]) => write.owner !== proof);
      if (isAlone) await this.#remove(foreign.map(([name]) => name));
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#remove(["head"]);
      await this.#remove(await this.#names(""));
    });
  }

  /** Nothing needs to be closed; a stopped engine makes no more calls. */
  close(): void {}

  /** Removes chunks that were left behind by a crash. */
  sweep(): Promise<void> {
    return this.#inTurn(async () => {
      const kept = await this.#head();
      const used = new Set(kept?.chunks.map(nameOfChunk));
      await this.#remove((await this.#names("chunk:")).filter((name) => !used.has(name)));
    });
  }

  /** Returns the chunks that these rows change; null if the complete replica should be written. */
  async #patched(
    kept: StoredHead,
    rows: readonly KeptRow[],
  ): Promise<{ readonly texts: ReadonlyMap<number, ChunkText>; readonly count: number } | null> {
    const size = kept.chunks.length;
    const byChunk = new Map<number, KeptRow[]>();
    for (const row of rows) {
      const index = chunkOf(row.entity, row.id, size);
      const own = byChunk.get(index) ?? [];
      byChunk.set(index, own);
      own.push(row);
    }
    const indexes = [...byChunk.keys()];
    const before = await this.#texts(
      indexes.map((index) => nameOfChunk(kept.chunks[index] ?? 0, index)),
    );
    const texts = new Map<number, ChunkText>();
    let { count } = kept;
    for (const [at, index] of indexes.entries()) {
      const own = rowsOf(before[at]);
      if (own === null) return null;
      const merged = merge(own, byChunk.get(index) ?? []);
      count += merged.size - own.length;
      for (const made of chunksOf([...merged.values()], 1)) texts.set(index, made);
    }
    return chunkCountFor(count) > size * MAX_GROWTH ? null : { texts, count };
  }

  /** Returns the writes by name, in the order in which they were made. */
  async #writes(): Promise<ReadonlyMap<string, KeptWrite>> {
    const names = (await this.#names("write:")).toSorted();
    const texts = await this.#texts(names);
    return new Map(
      names.flatMap((name, index) => {
        const write = parsed<KeptWrite>(texts[index]);
        return write === null ? [] : [[name, write] as const];
      }),
    );
  }

  async #documentParts(): Promise<readonly KeptDocumentPart[]> {
    const texts = await this.#texts(await this.#names("document:"));
    return texts.flatMap((text) => {
      const part = parsed<StoredDocumentPart>(text);
      return part === null ? [] : [{ ...part, bytes: bytesOf(part.bytes) }];
    });
  }

  async #dropRows(): Promise<void> {
    await this.#remove(["head"]);
    await this.#remove(await this.#names("chunk:"));
  }

  #keepHead(head: StoredHead): Promise<void> {
    return this.#write([["head", JSON.stringify(head)]]);
  }

  /** Null if no replica is complete, or it has the layout of another version. */
  async #head(): Promise<StoredHead | null> {
    const kept = await this.#read<StoredHead>("head");
    return Array.isArray(kept?.chunks) ? kept : null;
  }

  async #read<T>(name: string): Promise<T | null> {
    const [text = null] = await this.#texts([name]);
    return parsed<T>(text);
  }

  async #names(prefix: string): Promise<readonly string[]> {
    const keys = await this.#store.keys(this.#prefix + prefix);
    return keys.map((key) => key.slice(this.#prefix.length));
  }
  async #texts(names: readonly string[]): Promise<readonly (string | null)[]> {
    return names.length === 0 ? [] : this.#store.read(names.map((name) => this.#prefix + name));
  }
  async #write(texts: readonly (readonly [name: string, text: string])[]): Promise<void> {
    if (texts.length === 0) return;
    await this.#store.write(texts.map(([name, text]) => [this.#prefix + name, text]));
  }
  async #remove(names: readonly string[]): Promise<void> {
    if (names.length > 0) await this.#store.remove(names.map((name) => this.#prefix + name));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** Parses a text; null for a missing or damaged one. */
function parsed<T>(text: string | null | undefined): T | null {
  try {
    return text === null || text === undefined ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}

/** Returns the rows of a chunk; null as for `parsed`. */
function rowsOf(text: string | null | undefined): readonly KeptRow[] | null {
  try {
    return text === null || text === undefined ? null : rowsIn(text);
  } catch {
    return null;
  }
}

/** Merges changed rows into the rows of a chunk; names of entities contain no slash. */
function merge(
  before: readonly KeptRow[],
  changed: readonly KeptRow[],
): ReadonlyMap<string, KeptRow> {
  const rows = new Map(before.map((row) => [`${row.entity}/${row.id}`, row]));
  for (const row of changed)
    if (row.row === null) rows.delete(`${row.entity}/${row.id}`);
    else rows.set(`${row.entity}/${row.id}`, row);
  return rows;
}

function nameOfChunk(write: number, index: number): string {
  return `chunk:${write}:${index}`;
}

function nameOfPart(id: string): string {
  return `document:${id}`;
}

/** Not base64, for which some platforms have no functions: JSON carries any text. */
function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function nameOfPlace(place: number): string {
  return `write:${String(place).padStart(PLACE_DIGITS, "0")}`;
}

function placeOf(name: string): number {
  return Number(name.slice("write:".length));
}

/** Whether one replica continues the other: the same log and user. */
function isSameReplica(one: ReplicaHead, other: ReplicaHead): boolean {
  return one.epoch === other.epoch && isSame(one.session, other.session);
}
