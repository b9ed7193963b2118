import type { ChunkText } from "./chunk-rows.ts";
import { chunkCountFor, chunkOf, chunksOf, withoutRows } from "./chunks.ts";
import type { KeptRow, ReplicaHead } from "./disk.ts";
import { asked, type Database, type Stores } from "./idb.ts";
import {
  CHUNKS_AT_ONCE,
  headIn,
  isSameReplica,
  type StoredHead,
  type StoreName,
  type Unfinished,
} from "./indexed-db-layout.ts";

/** The minimum number of changed rows beside the chunks before everything is rewritten, */
const MIN_LOOSE_ROWS = 2_000;
/** and their minimum share of all rows. */
const UNUSED_PART = 0.2;

/** Replaces the stored replica, like `replaceReplica` of a `Disk`. */
export async function replaceReplica(
  db: Database<StoreName>,
  head: ReplicaHead,
  rows: Iterable<KeptRow>,
  writer: string,
): Promise<void> {
  const names: readonly StoreName[] = ["head", "chunks", "rows", "results"];
  const isOlder = await db.in(names, "readwrite", async (stores) => {
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
    if (!(await writeChunks(db, writer, first, part))) return;
    first += part.length;
    part = [];
  }
  await writeChunks(db, writer, first, part, { ...head, chunks });
}

/** Stores changed rows, like `patchReplica` of a `Disk`. */
export function patchReplica(
  db: Database<StoreName>,
  head: ReplicaHead,
  from: number,
  rows: readonly KeptRow[],
): Promise<boolean> {
  const names: readonly StoreName[] = ["head", "chunks", "rows", "results"];
  return db.in(names, "readwrite", async (stores) => {
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

/** @returns false if another tab writes its own replica, or the user has signed out */
function writeChunks(
  db: Database<StoreName>,
  writer: string,
  first: number,
  chunks: readonly ChunkText[],
  head?: StoredHead,
): Promise<boolean> {
  return db.in(["head", "chunks"], "readwrite", async (stores) => {
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
