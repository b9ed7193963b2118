import type { ClientChange, ReplicaSchemaMessage, Row } from "@pylonsync/protocol";
import type { ResolvedSession } from "../session/session.ts";

/** Whose token it was that a browser kept rows under. */
export interface KeptSession {
  /** Tells the token again, and does not tell the token. */
  readonly witness: string;
  readonly session: ResolvedSession;
}

/** A row as it was when it was kept; null for one that is gone. */
export interface KeptRow {
  readonly entity: string;
  readonly id: string;
  readonly row: Row | null;
}

/** Where a kept replica is in the server's log, and who it was for. */
export interface ReplicaHead {
  readonly session: ResolvedSession;
  readonly epoch: string | null;
  readonly seq: number;
  /** The kinds of its fields; absent in what an older version kept. */
  readonly schema?: ReplicaSchemaMessage;
}

/** A replica of an earlier visit. */
export interface KeptReplica {
  readonly head: ReplicaHead;
  readonly rows: readonly KeptRow[];
}

/** The first rows of a query, as it showed them. */
export interface KeptResult {
  readonly entity: string;
  /** Tells the filter and the order from others. */
  readonly key: string;
  readonly rows: readonly Row[];
}

/** Results, and the replica that they are of. */
export interface KeptResults {
  readonly head: ReplicaHead;
  readonly results: readonly KeptResult[];
}

/** A write that no server has answered. */
export interface KeptWrite {
  readonly id: string;
  /** Whose it is; nobody else's engine is given it. */
  readonly owner: string;
  readonly change: ClientChange & { readonly op_id: string };
}

/**
 * What a browser keeps of one app on one server between two visits, shared by its tabs.
 *
 * Any call may fail: storage is full, or somebody has emptied it. What a call does it does whole or
 * not at all, `replaceReplica` excepted, after which there is the whole replica or none.
 */
export interface Disk {
  readSession(): Promise<KeptSession | null>;
  writeSession(kept: KeptSession): Promise<void>;
  readReplica(): Promise<KeptReplica | null>;
  /**
   * Nothing happens where the same replica is kept and further on.
   *
   * @param writer tells this call from those of other tabs
   */
  replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>, writer: string): Promise<void>;
  /**
   * Brings the kept replica up to `head`. Nothing happens where it is another's, of another log, or
   * further on, because another tab was faster.
   *
   * @param from the change after which the rows begin
   * @returns false, and nothing happens, where the whole replica should be written instead: what is
   *   kept ends before `from`, as another tab has kept an older one, or too much has changed since
   *   it was written whole
   */
  patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean>;
  /**
   * What queries showed, which is read at once where a large replica takes a while. Absent, with
   * `writeResults`, on a disk that is fast enough without.
   */
  readResults?(): Promise<KeptResults | null>;
  /**
   * Keeps what queries show, in place of what was kept before. Nothing happens where the replica
   * that is kept is another. A patch of the replica forgets all results.
   */
  writeResults?(kept: KeptResults): Promise<void>;
  /** Forgets who was signed in, and their rows. Writes stay. */
  dropReplica(): Promise<void>;
  /** In the order in which they were made. */
  readWrites(owner: string): Promise<readonly KeptWrite[]>;
  /** Nothing happens where it is there already. */
  addWrites(writes: readonly KeptWrite[]): Promise<void>;
  /** Which of these are there still. */
  keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>>;
  removeWrites(ids: readonly string[]): Promise<void>;
  /**
   * What was kept under `proof` is `owner`'s, and with `isAlone` the writes of everybody else are
   * dropped: in one step, because another tab may keep something under the proof in between.
   */
  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void>;
  /** Forgets everything. */
  clear(): Promise<void>;
  close(): void;
}
