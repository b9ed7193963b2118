import { isSame } from "../session/session.ts";
import type { ReplicaHead } from "./disk.ts";
import { asked, type Stores } from "./idb.ts";

/** The number of chunks per transaction: more would block the page or other tabs. */
export const CHUNKS_AT_ONCE = 8;

/**
 * While a replica is written in several transactions, it must not be read as complete, or written
 * by others.
 */
export interface Unfinished {
  readonly writer: string;
}

/** `chunks`: the number of chunks; undefined in an older layout, which has none. */
export type StoredHead = ReplicaHead & { readonly chunks?: number };

/**
 * - `chunks`: the rows as of the last complete write of the replica, by number
 * - `rows`: rows that have changed since, which override the chunks
 * - `results`: the results of queries, one value
 * - `writes`: numbered in the order in which all tabs wrote them
 * - `documents`: parts of documents with unsent changes, by id
 */
export type StoreName = "session" | "head" | "chunks" | "rows" | "results" | "writes" | "documents";

/** Returns the head of a complete replica. */
export async function headIn(stores: Stores<StoreName>): Promise<StoredHead | null> {
  const kept: StoredHead | Unfinished | undefined = await asked(stores("head").get("head"));
  return kept === undefined || "writer" in kept ? null : kept;
}

/** Whether one replica continues the other: the same log and user. */
export function isSameReplica(one: ReplicaHead, other: ReplicaHead): boolean {
  return one.epoch === other.epoch && isSame(one.session, other.session);
}
