import type { ChunkRows, ChunkText } from "./chunk-rows.ts";
import type { KeptRow } from "./disk.ts";

/** The average number of rows per chunk. */
const ROWS_PER_CHUNK = 500;

/** Returns the number of chunks for a number of rows. */
export function chunkCountFor(rows: number): number {
  return Math.ceil(rows / ROWS_PER_CHUNK);
}

/** Returns the chunk of a row. It depends only on the number of chunks. */
export function chunkOf(entity: string, id: string, chunks: number): number {
  let hash = entity.length;
  for (let index = 0; index < id.length; index += 1)
    hash = (Math.imul(hash, 31) + id.charCodeAt(index)) | 0;
  // The low bits of such a sum only depend on the last letters.
  return ((hash ^ (hash >>> 15)) >>> 0) % chunks;
}

/** Creates chunks of rows lazily. */
export function* chunksOf(rows: readonly KeptRow[], chunks: number): Generator<ChunkText> {
  const parts = Array.from({ length: chunks }, (): KeptRow[] => []);
  for (const row of rows) parts[chunkOf(row.entity, row.id, chunks)]?.push(row);
  for (const part of parts) {
    const byEntity: ChunkRows = {};
    for (const { entity, row } of part) if (row !== null) (byEntity[entity] ??= []).push(row);
    yield JSON.stringify(byEntity);
  }
}

/** Returns the chunk without these rows. */
export function withoutRows(
  text: ChunkText,
  gone: readonly { readonly entity: string; readonly id: string }[],
): ChunkText {
  const byEntity: ChunkRows = JSON.parse(text);
  for (const { entity, id } of gone) {
    const rows = byEntity[entity];
    if (rows !== undefined) byEntity[entity] = rows.filter((row) => row.id !== id);
  }
  return JSON.stringify(byEntity);
}
