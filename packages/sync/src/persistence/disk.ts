import type { ClientChange, ReplicaSchemaMessage, Row } from "@pylonsync/protocol";
import type { DemandedQuery } from "../replica/row-source.ts";
import type { ResolvedSession } from "../session/session.ts";
import type { Database } from "./idb.ts";
import type { StoreName } from "./indexed-db-layout.ts";

/** The session for which a browser stored rows. */
export interface KeptSession {
  /** Identifies the token without revealing it. */
  readonly witness: string;
  readonly session: ResolvedSession;
}

/** A stored row; null if it was deleted. */
export interface KeptRow {
  readonly entity: string;
  readonly id: string;
  readonly row: Row | null;
}

/** A stored query, whose subscription can be continued. */
export interface KeptQuery {
  readonly entity: string;
  readonly where: Readonly<Record<string, unknown>>;
  readonly order?: unknown;
  readonly limit?: number | undefined;
  readonly include?: DemandedQuery["include"];
  /** The log and the condition to which its cursor belongs. */
  readonly epoch: string;
  /** The change up to which its rows are known; undefined if an older version has stored it. */
  readonly seq?: number;
  /**
   * The rows of a window, and of a query with includes; for others, the matching rows of the
   * replica.
   */
  readonly ids?: readonly string[];
  /** The included rows, by their path, parents first. */
  readonly related?: readonly {
    readonly path: string;
    readonly entity: string;
    readonly ids: readonly string[];
  }[];
}

/** The position of a stored replica in the server's log, and its user. */
export interface ReplicaHead {
  readonly session: ResolvedSession;
  readonly epoch: string | null;
  readonly seq: number;
  /** The field types; undefined if an older version has stored it. */
  readonly schema?: ReplicaSchemaMessage;
  /** With single queries: the queries, as of `seq`. */
  readonly queries?: readonly KeptQuery[];
}

/** A replica from an earlier visit. */
export interface KeptReplica {
  readonly head: ReplicaHead;
  readonly rows: readonly KeptRow[];
}

/** The first rows of a query, as it showed them. */
export interface KeptResult {
  readonly entity: string;
  /** Identifies the filter and the order. */
  readonly key: string;
  readonly rows: readonly Row[];
}

/** Results, with the head of their replica. */
export interface KeptResults {
  readonly head: ReplicaHead;
  readonly results: readonly KeptResult[];
}

/** A write without a response of the server. */
export interface KeptWrite {
  readonly id: string;
  /** The user who made it; it is never given to another user's engine. */
  readonly owner: string;
  readonly change: ClientChange & { readonly op_id: string };
}

/** A part of a document with unsent changes, in the format of the library that merges them. */
export interface KeptDocumentPart {
  readonly id: string;
  /** As for `KeptWrite`. */
  readonly owner: string;
  /** The tab that has stored it. */
  readonly tab: string;
  readonly entity: string;
  readonly rowId: string;
  /** `base`: the server's state; `changes`: what is added to it; `draft`: a text without a base. */
  readonly kind: "base" | "changes" | "draft";
  readonly bytes: Uint8Array;
}

/** The parts of all documents with unsent changes. Both calls are atomic, and may fail. */
export interface DocumentDisk {
  read(): Promise<readonly KeptDocumentPart[]>;
  /** Adds parts, and removes others by their ids. */
  change(added: readonly KeptDocumentPart[], removed: readonly string[]): Promise<void>;
}

/**
 * The data that a browser stores for an app on a server between visits, shared by its tabs.
 *
 * Any call may fail: storage may be full, or cleared. Each call is atomic, except `replaceReplica`,
 * after which there is the complete replica or none.
 */
export interface Disk {
  readSession(): Promise<KeptSession | null>;
  writeSession(kept: KeptSession): Promise<void>;
  readReplica(): Promise<KeptReplica | null>;
  /**
   * Has no effect if the same replica is already stored with a newer position.
   *
   * @param writer distinguishes this call from those of other tabs
   */
  replaceReplica(head: ReplicaHead, rows: Iterable<KeptRow>, writer: string): Promise<void>;
  /**
   * Updates the stored replica to `head`. Has no effect if the stored one belongs to another user
   * or log, or is newer because another tab was faster.
   *
   * @param from the change after which the rows begin
   * @returns false, without an effect, if the complete replica should be written instead: the
   *   stored one ends before `from`, because another tab has stored an older one, or too much has
   *   changed since it was last written completely
   */
  patchReplica(head: ReplicaHead, from: number, rows: readonly KeptRow[]): Promise<boolean>;
  /**
   * Changes the epoch of a stored replica, so that only one tab writes it from then on. Undefined
   * for a disk that is not shared by tabs: then it is written completely.
   *
   * @returns false, without an effect, if another replica is stored now
   */
  claimReplica?(kept: ReplicaHead, epoch: string): Promise<boolean>;
  /**
   * Reads the last results of queries, which is fast even if the replica is large. Undefined, with
   * `writeResults`, for a disk that is fast enough without it.
   */
  readResults?(): Promise<KeptResults | null>;
  /**
   * Stores the results of queries, in place of the previous ones. Has no effect if another replica
   * is stored. A patch of the replica deletes all results.
   */
  writeResults?(kept: KeptResults): Promise<void>;
  /** Deletes the session and its rows. Writes are kept. */
  dropReplica(): Promise<void>;
  /** Returns the writes in the order in which they were made. */
  readWrites(owner: string): Promise<readonly KeptWrite[]>;
  /** Has no effect for existing writes. */
  addWrites(writes: readonly KeptWrite[]): Promise<void>;
  /** Returns which of these writes still exist. */
  keptWrites(ids: readonly string[]): Promise<ReadonlySet<string>>;
  removeWrites(ids: readonly string[]): Promise<void>;
  /**
   * Assigns everything stored under `proof` to `owner`, and with `isAlone` deletes the writes of
   * all other users. Atomic, because another tab may store something under the proof in between.
   */
  takeOver(owner: string, proof: string | null, isAlone: boolean): Promise<void>;
  /**
   * The storage of documents. Undefined for a disk that can't store bytes: then unsent changes of
   * documents last as long as the page.
   */
  readonly documents?: DocumentDisk;
  /** The database behind it, for code that is loaded when it is needed; undefined for others. */
  readonly database?: Database<StoreName>;
  /** Deletes everything. */
  clear(): Promise<void>;
  close(): void;
}
