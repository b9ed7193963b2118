import type { Expr, Order, ScalarKind, SchemaShape } from "@pylonsync/query";
import type { Migration } from "../schema/migration.ts";
import type { StoredRow, Value } from "../schema/row.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import type { AppNames } from "../schema/table-names.ts";
import type { Cancellation } from "../util/cancellation.ts";

/**
 * The types that rows consist of, re-exported so that users of a store find every type of its
 * interface here.
 */
export type { StoredRow, Value };

/**
 * The rows of a read belong to several parent rows, whose children are all read in one query: the
 * result is ordered by parent, and the requested order applies among the rows of one parent.
 */
export interface PerParent {
  /**
   * The field that refers to the parent row: a field of the rows that are read, or of the rows of
   * `through`, which join the two.
   */
  readonly field: string;
  /** The maximum number of rows per parent. */
  readonly limit?: number | undefined;
  /** Each row that is read contains the id of its parent, under PARENT. */
  readonly through?:
    | {
        readonly entity: string;
        /** The field of the joining entity that holds the id of a row that is read. */
        readonly targetField: string;
        /** The condition for the joining rows; reads `data`. */
        readonly where: Expr;
      }
    | undefined;
}

/** The key under which a row of a read through another entity contains the id of its parent. */
export const PARENT = "$parent";

/** The words of a text search: each must occur in one of the texts of a row. */
export interface TextSearch {
  /** The index of the entity, as it exists in the database. */
  readonly index: SearchIndex;
  /** At least one, in lower case, consisting of letters and digits only. */
  readonly words: readonly string[];
}

/** The rows to read, and their order. */
export interface Select {
  readonly entity: string;
  /**
   * May read `data` (the row), `related` inside `exists`, and literals. `auth`, `old`, `input` and
   * `now` are bound before.
   */
  readonly where?: Expr | undefined;
  /** Only rows that contain the words. */
  readonly search?: TextSearch | undefined;
  /** Default: id ascending; for a search the best match first, ties by id. */
  readonly order?: readonly Order[] | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  /**
   * The rows end with the one at which the sum of their sizes (rowSize) reaches this many bytes:
   * the following rows are not read. `isFull` reports whether that happened.
   */
  readonly maxBytes?: number | undefined;
  /**
   * Only in a transaction: locks the rows until it ends, and skips rows that another transaction
   * has locked, so that several workers can claim rows of one table without waiting for each other.
   */
  readonly isClaim?: boolean | undefined;
  /** `where` selects the parents. A row with several parents is returned once for each of them. */
  readonly perParent?: PerParent | undefined;
}

/** A read of rows by their words. */
export type SearchSelect = Select & { readonly search: TextSearch };

/** The result of a search. */
export interface Found {
  readonly rows: StoredRow[];
  /** The number of all matching rows, regardless of the limit and the offset. */
  readonly total: number;
}

/** The functions that compute a measure from the rows of a group. */
export type AggregateFunction = "count" | "sum" | "avg" | "min" | "max" | "countDistinct";
/** The interval by which datetimes are grouped; a week begins on Monday. */
export type TimeBucket = "hour" | "day" | "week" | "month" | "year";
/** The offset of a time zone from UTC, valid from a moment until that of the next entry. */
export interface ZoneOffset {
  /** ISO 8601 with milliseconds and Z; null: valid from the beginning of time. */
  readonly from: string | null;
  readonly seconds: number;
}
/** The row of another entity to which a field leads. */
export interface RelatedRow {
  readonly entity: string;
  /** The row's own field that holds the id of the other one. */
  readonly key: string;
  /** Reads `data`, the other row: one that does not meet it counts as missing. */
  readonly where: Expr;
}
/** Measures of the matching rows, by group. */
export interface Aggregate {
  readonly entity: string;
  readonly where?: Expr | undefined;
  /** Only rows that contain the words. */
  readonly search?: TextSearch | undefined;
  readonly groupBy: readonly {
    /** Of the row, or of the related row; null without one. */
    readonly field: string;
    /**
     * The field is an array with items of this kind: a row belongs to the groups of all its items,
     * once to each. An item of another kind has no group. At most one field is an array, and the
     * only measure is then `count` without a field.
     */
    readonly items?: ScalarKind | undefined;
    readonly related?: RelatedRow | undefined;
    readonly bucket?: TimeBucket | undefined;
    /**
     * The field is a date without a time, and so is the start of its bucket: null for a text that
     * is not a date.
     */
    readonly isDate?: boolean | undefined;
    /**
     * The offsets of a time zone, in order: buckets are computed in its local time. A group is
     * named by its start in local time, written as if that were UTC; an hour is named by the moment
     * at which it begins.
     */
    readonly offsets?: readonly ZoneOffset[] | undefined;
    readonly as: string;
  }[];
  /** `count` with a field counts the rows that have a value in it. */
  readonly measures: readonly {
    readonly fn: AggregateFunction;
    readonly field?: string | undefined;
    readonly as: string;
  }[];
  /** Only groups of at least this many rows, the largest first. */
  readonly atLeast?: number | undefined;
  /**
   * A condition on the groups. Reads `data`, which contains the measures by name; they are numbers.
   */
  readonly having?: Expr | undefined;
  /** By the names of groups and measures; default: by the groups. */
  readonly order?: readonly Order[] | undefined;
  /** The maximum number of groups in the result. */
  readonly limit?: number | undefined;
  /** As in Select. */
  readonly maxBytes?: number | undefined;
}

/** A committed write. `before` is absent for an insert, `after` for a delete. */
export interface ChangeRecord {
  readonly seq: number;
  readonly entity: string;
  readonly rowId: string;
  readonly kind: "insert" | "update" | "delete";
  readonly before: StoredRow | null;
  readonly after: StoredRow | null;
  /** Milliseconds since 1970. */
  readonly at: number;
}
/** A change that is not numbered yet. */
export type NewChange = Omit<ChangeRecord, "seq">;

/** The first and the last position of the change log. */
export interface LogBounds {
  /** The id of this log. A cursor of another log is invalid here. */
  readonly epoch: string;
  /** The sequence number of the newest committed change; 0 if there has never been one. */
  readonly head: number;
  /** Changes after this one are retained: a cursor below it is too old. */
  readonly floor: number;
}

/**
 * The distance between the numbers of a new log and those of the previous one: no server can have
 * committed this many changes since the backup.
 */
export const RENEWED_LOG_OFFSET = 1_000_000_000;

/** The steps of a migration, and the manifest that describes the tables after it, as JSON text. */
export interface SchemaChange {
  readonly migration: Migration;
  /** With the names of the database, like the steps. */
  readonly manifestJson: string;
  /** The app's names for what it renamed. */
  readonly names?: AppNames;
  /** The versions of the app and of Pylon, for the history. */
  readonly by?: { readonly app: string; readonly pylon: string };
}

/**
 * Reads. Outside a transaction each call sees the latest commit; inside, it also sees the
 * transaction's own writes.
 */
export interface Reader {
  get(entity: string, id: string): Promise<StoredRow | null>;
  select(query: Select): Promise<StoredRow[]>;
  /** Returns a page of the rows that contain the words, and the total number of such rows. */
  search(query: SearchSelect): Promise<Found>;
  count(entity: string, where?: Expr): Promise<number>;
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]>;
  /** Evaluates a condition without free paths: literals, and `exists` over tables. */
  test(expr: Expr): Promise<boolean>;
}

/**
 * The location in which a store has put a row: a hint by which the store finds the row again
 * without an index, so that serializable transactions that update adjacent rows do not conflict.
 * Null if the store needs no hint.
 */
export type RowPlace = string | null;

/** The update of one row in `updateMany`. */
export interface RowUpdate {
  readonly id: string;
  readonly patch: Readonly<Record<string, Value>>;
  /** The values that the row must have: it is not updated if it has other values, or null. */
  readonly expected?: Readonly<Record<string, Value>>;
  /** As returned by an earlier `updateMany`. */
  readonly place?: RowPlace | undefined;
}

/** Writes that are applied together or not at all. */
export interface Transaction extends Reader {
  /** @throws PylonError UNIQUE_VIOLATION with `field`, ID_TAKEN */
  insert(entity: string, row: StoredRow): Promise<void>;
  /**
   * Inserts a row whose id was just created, so that no other row has it. The row may be written
   * later, together with others: before the next statement, or at the end of the transaction.
   *
   * @throws PylonError UNIQUE_VIOLATION with `field`
   */
  insertNew(entity: string, row: StoredRow): Promise<void>;
  /**
   * Inserts rows of a system table that have the same fields, in one step.
   *
   * @throws PylonError ID_TAKEN
   */
  insertMany(entity: string, rows: readonly StoredRow[]): Promise<void>;
  /**
   * Updates rows of a system table in one step. All updates set the same fields and have the same
   * fields in `expected`.
   *
   * @returns the ids of the updated rows, each with the row's new place
   */
  updateMany(entity: string, updates: readonly RowUpdate[]): Promise<ReadonlyMap<string, RowPlace>>;
  /**
   * Like `updateMany` for one row, at the latest at the end of the transaction: not allowed within
   * `attempt`.
   *
   * @param refuse creates the error that rolls the work back if the row does not have the expected
   *   values
   */
  updateAtEnd(entity: string, update: RowUpdate, refuse: () => Error): Promise<void>;
  /**
   * Sets the given fields.
   *
   * @returns whether the row existed
   * @throws PylonError UNIQUE_VIOLATION
   */
  update(entity: string, id: string, patch: Readonly<Record<string, Value>>): Promise<boolean>;
  /** @returns whether the row existed */
  delete(entity: string, id: string): Promise<boolean>;
  /**
   * Deletes all matching rows. For system tables; for rows of the app, data/writer.ts appends the
   * change of each.
   *
   * @returns the number of deleted rows
   */
  deleteWhere(entity: string, where: Expr): Promise<number>;
  /**
   * Appends a change to the log; it is numbered in commit order. Changes of system tables notify
   * the other replicas and are never sent to a client.
   */
  append(change: NewChange): Promise<void>;
  /**
   * Runs a part of the work that may fail on its own: if it rejects, its writes are rolled back and
   * the transaction continues.
   */
  attempt<T>(part: () => Promise<T>): Promise<T>;
}

/** How a database executes a read. */
export interface QueryPlan {
  /** The statement, without its parameters. */
  readonly sql: string;
  /** The steps of the database, one per line. */
  readonly steps: readonly string[];
  /** The tables that are scanned row by row, because no index leads to the matching rows. */
  readonly scans: readonly string[];
}

/** The caller of the reads, and their time limit. */
export interface ReadLimits {
  /**
   * The caller whose share of the store's readers the reads use: the same text for all reads of one
   * user or one network address.
   */
  readonly caller: string;
  /** The maximum duration of one read, in milliseconds. */
  readonly timeoutMs: number;
}

/** Options of a transaction. */
export interface TransactOptions {
  /** Aborts the work: its writes are rolled back and the promise rejects with `signal.reason`. */
  readonly signal?: Cancellation | undefined;
  /**
   * `serializable` (default): as if no other transaction ran concurrently. `snapshot` is sufficient
   * for work that writes only rows that it looked up by id and whose decisions depend on nothing
   * else: it never conflicts with work on other rows. With `latest` each step sees everything
   * committed before that step: for work that claims rows before it makes decisions based on them,
   * and whose updates expect the values that the decisions were based on.
   */
  readonly isolation?: "serializable" | "snapshot" | "latest" | undefined;
  /**
   * The writes may be lost if the database's machine crashes, unless later work is durable: the
   * promise does not wait for the disk.
   */
  readonly mayBeLost?: boolean | undefined;
  /**
   * The name of a kind of short, serializable work. In stores where each commit is expensive,
   * several pieces of such work may run one after another in one transaction; each still succeeds
   * or fails on its own, and is durable when its promise resolves.
   */
  readonly shared?: string | undefined;
}

/** A change of the database while a store is open. `read-only`: reads work, writes fail. */
export type DatabaseState = "lost" | "read-only" | "back";

/** The access to a database that can be used. */
export type DatabaseAccess = "up" | "read-only";

/** `no-notifications`: the server responds, but notifications sent through it do not come back. */
export type LinkState = "up" | "lost" | "no-notifications";

/**
 * A link to the other replicas through the database, for short and frequent calls. It has its own
 * connections, so neither it nor transactions wait for each other. It is up while the database
 * responds in time and this replica's own messages come back to it.
 */
export interface ReplicaLink {
  /**
   * Opens the link.
   *
   * @param withinMs how long to wait until it is up, in milliseconds; after that, connecting
   *   continues in the background
   */
  start(withinMs: number): Promise<void>;
  readonly isUp: boolean;
  /**
   * Calls the listener on each change of the state.
   *
   * @returns a function that removes the listener
   */
  onChange(listener: (state: LinkState) => void): () => void;
  /**
   * Calls the listener with every message of every replica, in commit order, while the link is up.
   */
  onMessage(listener: (text: string) => void): void;
  /**
   * Runs a statement in its own transaction. Statements with the same key run in the order of the
   * calls. Those with an empty key wait for no others.
   *
   * @throws LinkLostError if the link is lost, immediately or after 2 s; the statement may have
   *   run. PylonError OVERLOADED if too many statements wait and this one may be refused; it has
   *   not run.
   */
  call(
    key: string,
    text: string,
    params: readonly Value[],
    mayBeRefused: boolean,
  ): Promise<Readonly<Record<string, Value>>[]>;
}

/** The link can't be used at the moment. */
export class LinkLostError extends Error {
  override readonly name = "LinkLostError";
}

/** The statistics of a store. */
export interface StoreStats {
  /** Reads with limits, on behalf of callers, since the start. */
  readonly reads: {
    /** Ended at their deadline. */
    readonly timedOut: number;
    /** Refused because too many reads were waiting. */
    readonly refused: number;
    /** Waiting for a reader at the moment. */
    readonly waiting: number;
  };
  /** The transactions that were run again after a conflict, since the start. */
  readonly conflicts: number;
  /**
   * The current connections, and the number of requests waiting for one; null if there is no pool.
   */
  readonly pool: { readonly open: number; readonly idle: number; readonly waiting: number } | null;
  /** The number of writes waiting for the only writer; null if there are several writers. */
  readonly queued: number | null;
  /** Whether the changes of all replicas reach the followers; false while the database is lost. */
  readonly isFollowing: boolean;
}

/**
 * What Pylon requires of a database. SQLite and Postgres implement it, and one suite
 * (store.suite.ts) tests both.
 *
 * Rows are JSON-ready: bool is true/false, datetime is ISO 8601 UTC with milliseconds, an absent
 * value is null. A table is an entity of the app or a system table (system-tables.ts): the store
 * treats both alike. Names and values are validated against the schema before they reach the store;
 * an unknown name is a bug and throws.
 */
export interface Store extends Reader {
  readonly dialect: "sqlite" | "postgres";
  /** Whether a search can find words with typos. */
  readonly findsTypos: boolean;
  /** Null if there can be no other replica. Closed with the store. */
  readonly link: ReplicaLink | null;
  /**
   * A reader for reads whose conditions or number are determined by a caller. A read that exceeds
   * its deadline is ended, and a caller with slow reads occupies a part of the store's readers,
   * never all of them. Like the store's own reads, each read sees every commit that was
   * acknowledged before it.
   *
   * The reader's methods reject with PylonError QUERY_TIMEOUT if the read reached its deadline, and
   * OVERLOADED if too many reads are waiting, or if this one waited for as long as it may run.
   */
  limitedReader(limits: ReadLimits): Reader;
  /**
   * Returns how the database would execute the read if its tables were large: an index that leads
   * to the rows is used. Reads no rows.
   */
  explain(query: Select): Promise<QueryPlan>;
  /**
   * Runs work that only reads, on a snapshot: all of its reads see the database as of the first
   * one, without later commits. The limits are those of `limitedReader`. The reader is unusable
   * once `work` has settled or was aborted. `work` may run again, so it must have no side effects.
   *
   * @param signal aborts the work: the promise rejects with its reason
   */
  snapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal?: Cancellation,
  ): Promise<T>;
  /**
   * Runs `work` in a transaction: all of its writes are durable when the promise resolves, and none
   * is applied when it rejects. `work` may run again after a serialization conflict (Postgres), so
   * it must have no effects outside of the transaction. The transaction is unusable once `work` has
   * settled or was aborted: later calls on it reject.
   */
  transact<T>(work: (tx: Transaction) => Promise<T>, options?: TransactOptions): Promise<T>;

  /**
   * The current bounds of the log; `head` includes every change committed before the call, by any
   * replica.
   */
  bounds(): Promise<LogBounds>;
  /**
   * The changes after `seq`, oldest first, at least up to the newest head that was returned before
   * the call. The list ends before `limit` with the change at which the size reaches
   * MAX_LOG_PAGE_BYTES.
   */
  changes(seq: number, limit: number): Promise<ChangeRecord[]>;
  /**
   * Calls `listener` with all later changes of all replicas, in order, each exactly once, after
   * they are durable: one call per transaction.
   *
   * @returns a function that removes the listener
   */
  follow(listener: (changes: readonly ChangeRecord[]) => void): () => void;
  /** Resolves when the followers have been called with every change committed before the call. */
  settle(): Promise<void>;
  /** Deletes the oldest changes, so that at most `keep` are retained. */
  trimLog(keep: number): Promise<void>;
  /**
   * Erases the contents of rows that no longer exist: afterwards each change of such a row, up to
   * its deletion, states only that the row is deleted, and its `before` contains none of the given
   * fields.
   *
   * @param after only rows that were deleted after this change
   * @returns the sequence number of the newest change that was processed
   */
  forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number>;
  /**
   * Starts a new log whose numbers are far beyond those of the previous one, so that every cursor
   * of a client is invalid and leads to a new snapshot. For a database that was restored from a
   * backup: it would otherwise reuse numbers that clients have seen for other changes. No server
   * may be running.
   */
  renewLog(): Promise<void>;

  /** The manifest of the latest migration, as JSON text, or null for a new database. */
  storedManifest(): Promise<string | null>;
  /**
   * A reader with other shapes than those of the stored manifest: columns that an older version of
   * the app left behind are in none of its shapes.
   */
  readerOf(shapes: SchemaShape): Reader;
  /**
   * Migrates the tables to a new schema in one transaction. Replicas that start at the same time
   * take turns: each plans from the result of the previous one. The rows are added to a new search
   * index afterwards, in batches: if a migration is interrupted during that, the next one completes
   * it.
   *
   * @param plan receives the result of `storedManifest`; if it throws, nothing is changed
   * @throws PylonStartError if rows do not fit the new schema; nothing is changed then
   */
  migrate(plan: (stored: string | null) => SchemaChange): Promise<void>;
  /** The statistics of the store; does not query the database. */
  stats(): StoreStats;
  /** The time of the clock that all servers of this database share, in milliseconds since 1970. */
  time(): Promise<number>;
  /** Checks the access to the database; rejects if it can't be used at all. */
  ping(): Promise<DatabaseAccess>;
  close(): Promise<void>;
}
