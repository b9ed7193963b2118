import type { Expr, Order, SchemaShape } from "@pylonsync/query";
import type { Migration } from "../schema/migration.ts";
import type { StoredRow, Value } from "../schema/row.ts";
import type { SearchIndex } from "../schema/search-index.ts";
import type { AppNames } from "../schema/table-names.ts";

/** What rows are made of, so that who uses a store finds all that it speaks of here. */
export type { StoredRow, Value };

/**
 * The rows of a read belong to several other rows, those of all of which are read at once: they
 * come parent by parent, and the order is that among the rows of one.
 */
export interface PerParent {
  /**
   * Names the other row: a field of the rows that are read, or of those of `through`, which join
   * the two.
   */
  readonly field: string;
  /** Most rows of each of the others. */
  readonly limit?: number | undefined;
  /** Each row that is read says to which it belongs, under PARENT. */
  readonly through?:
    | {
        readonly entity: string;
        /** Its field that holds the id of a row that is read. */
        readonly targetField: string;
        /** Which of its rows join; reads `data`. */
        readonly where: Expr;
      }
    | undefined;
}

/** Where a row of a read through another entity names the row that it belongs to. */
export const PARENT = "$parent";

/** Words that rows are searched for: each must be in one of the texts of a row. */
export interface TextSearch {
  /** The index of the entity, as the database has it. */
  readonly index: SearchIndex;
  /** Of letters and digits alone, at least one, in lower case. */
  readonly words: readonly string[];
}

/** Which rows to read, in which order. */
export interface Select {
  readonly entity: string;
  /**
   * May read `data` (the row), `related` inside `exists`, and literals. `auth`, `old`, `input` and
   * `now` are bound before.
   */
  readonly where?: Expr | undefined;
  /** Only rows that have its words. */
  readonly search?: TextSearch | undefined;
  /** Default: id ascending; of a search the best first, those that are as good by id. */
  readonly order?: readonly Order[] | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  /**
   * The rows end with the one at which their sizes together (rowSize) reach this: what comes after
   * is not read. `isFull` tells whether they did.
   */
  readonly maxBytes?: number | undefined;
  /**
   * Only in a transaction: holds the rows until it ends, and leaves out those that another one
   * holds, so that several workers may take from one table without waiting for each other.
   */
  readonly isClaim?: boolean | undefined;
  /** `where` says of which others. A row that belongs to several comes for each of them. */
  readonly perParent?: PerParent | undefined;
}

/** Which rows to find by their words. */
export type SearchSelect = Select & { readonly search: TextSearch };

/** What is found. */
export interface Found {
  readonly rows: StoredRow[];
  /** All rows that match, whatever the limit and the offset. */
  readonly total: number;
}

/** What is measured of the rows of a group. */
export type AggregateFunction = "count" | "sum" | "avg" | "min" | "max" | "countDistinct";
/** The span of time that datetimes are grouped by; a week begins on Monday. */
export type TimeBucket = "hour" | "day" | "week" | "month" | "year";
/** How far a time zone is ahead of UTC from a moment on, to that of the next one. */
export interface ZoneOffset {
  /** ISO 8601 with milliseconds and Z; null: since ever. */
  readonly from: string | null;
  readonly seconds: number;
}
/** Measures of the rows that match, by group. */
export interface Aggregate {
  readonly entity: string;
  readonly where?: Expr | undefined;
  /** Only rows that have its words. */
  readonly search?: TextSearch | undefined;
  readonly groupBy: readonly {
    readonly field: string;
    readonly bucket?: TimeBucket | undefined;
    /**
     * Of a time zone, in order: buckets are those of its local time. A group is named by its
     * beginning in local time as if that were UTC, an hour by the moment at which it begins.
     */
    readonly offsets?: readonly ZoneOffset[] | undefined;
    readonly as: string;
  }[];
  /** `count` of a field counts the rows that have a value there. */
  readonly measures: readonly {
    readonly fn: AggregateFunction;
    readonly field?: string | undefined;
    readonly as: string;
  }[];
  /** Only groups of at least so many rows, the largest first. */
  readonly atLeast?: number | undefined;
  /** Reads `data`, a group's measures by their names, which are numbers. */
  readonly having?: Expr | undefined;
  /** By the names of groups and measures; default: the groups. */
  readonly order?: readonly Order[] | undefined;
  /** Most groups in the answer. */
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

/** Where the change log begins and ends. */
export interface LogBounds {
  /** Names this log. A cursor that was counted in another log means nothing here. */
  readonly epoch: string;
  /** The newest committed change, 0 when there never was one. */
  readonly head: number;
  /** Changes after this one are retained: a cursor below it is too old. */
  readonly floor: number;
}

/**
 * By how much a new log begins beyond the one before: no server can have committed as many changes
 * since the backup.
 */
export const NEW_LOG_GAP = 1_000_000_000;

/** What a migration does, and the manifest that describes the tables after it, as JSON text. */
export interface SchemaChange {
  readonly migration: Migration;
  /** In the names of the database, as the steps are. */
  readonly manifestJson: string;
  /** How the app calls what it renamed. */
  readonly names?: AppNames;
  /** The versions of the app and of Pylon, for the history. */
  readonly by?: { readonly app: string; readonly pylon: string };
}

/**
 * Reads. Outside a transaction each call sees the last commit; inside, also what the transaction
 * has written.
 */
export interface Reader {
  get(entity: string, id: string): Promise<StoredRow | null>;
  select(query: Select): Promise<StoredRow[]>;
  /** A page of rows by their words, and how many there are. */
  search(query: SearchSelect): Promise<Found>;
  count(entity: string, where?: Expr): Promise<number>;
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]>;
  /** Truth of a tree without free paths: literals, and `exists` over tables. */
  test(expr: Expr): Promise<boolean>;
}

/**
 * Where a store has left a row: a hint by which it finds the row again without an index, so that
 * serializable transactions that update neighbours do not meet. Null where the store needs none.
 */
export type RowPlace = string | null;

/** What `updateMany` does to one row. */
export interface RowUpdate {
  readonly id: string;
  readonly patch: Readonly<Record<string, Value>>;
  /** What the row must hold: it is left alone when it holds something else, or null. */
  readonly expected?: Readonly<Record<string, Value>>;
  /** As an earlier `updateMany` has answered it. */
  readonly place?: RowPlace | undefined;
}

/** Writes that are made together or not at all. */
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
   * Updates rows of a system table in one step. All updates set the same fields, and expect the
   * same ones.
   *
   * @returns the ids of the rows that were updated, and where they are now
   */
  updateMany(entity: string, updates: readonly RowUpdate[]): Promise<ReadonlyMap<string, RowPlace>>;
  /**
   * As `updateMany` for one row, at the end of the transaction at the latest: not within `attempt`.
   *
   * @param refuse makes the error that undoes the work when the row is not as it was expected
   */
  updateAtEnd(entity: string, update: RowUpdate, refuse: () => Error): Promise<void>;
  /**
   * Sets the given fields.
   *
   * @returns whether the row was there.
   * @throws PylonError UNIQUE_VIOLATION
   */
  update(entity: string, id: string, patch: Readonly<Record<string, Value>>): Promise<boolean>;
  /** @returns whether the row was there. */
  delete(entity: string, id: string): Promise<boolean>;
  /**
   * Deletes all rows that match. For system tables; of app rows data/writer.ts appends the change
   * of each.
   *
   * @returns how many
   */
  deleteWhere(entity: string, where: Expr): Promise<number>;
  /**
   * Adds a change to the log; it is numbered in commit order. Changes of system tables tell the
   * other replicas, and go to no client.
   */
  append(change: NewChange): Promise<void>;
  /**
   * Runs a part of the work that may fail by itself: when it rejects, its writes are undone and the
   * transaction goes on.
   */
  attempt<T>(part: () => Promise<T>): Promise<T>;
}

/** How a database finds the rows of a read. */
export interface QueryPlan {
  /** The statement, with its parameters left out. */
  readonly sql: string;
  /** What the database does, a step a line. */
  readonly steps: readonly string[];
  /** The tables of which it looks at each row, because no index leads to those that match. */
  readonly scans: readonly string[];
}

/** For whom reads are made, and how long one may take. */
export interface ReadLimits {
  /**
   * Whose share of the store's readers they use: the same text for all reads of one user or one
   * network address.
   */
  readonly caller: string;
  /** How long one read may run, in milliseconds. */
  readonly timeoutMs: number;
}

/** How a transaction is run. */
export interface TransactOptions {
  /** Aborts the work: its writes are rolled back and the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * `serializable` (default): as if no other work ran beside it. `snapshot` will do for work that
   * writes only rows that it looked up by their id, and decides by nothing else: it never meets
   * work on other rows. `latest` sees at each step what is committed by then: for work that claims
   * rows before it decides by them, and expects of rows that it updates what it decided by.
   */
  readonly isolation?: "serializable" | "snapshot" | "latest" | undefined;
  /**
   * What it writes may be lost when the database's machine crashes, unless later work is kept: the
   * promise does not wait for the disk.
   */
  readonly mayBeLost?: boolean | undefined;
  /**
   * Names a kind of short, serializable work. Where each commit costs, several pieces of it may run
   * one after another in one transaction; each still succeeds or fails on its own, and is durable
   * when its promise resolves.
   */
  readonly shared?: string | undefined;
}

/** What becomes of the way to a database server while a store is open. */
export type DatabaseState = "lost" | "back";

/** `no-notifications`: the server answers, but what is said there does not come back. */
export type LinkState = "up" | "lost" | "no-notifications";

/**
 * A way to the other replicas through the database, for calls that are short and many. It has
 * connections of its own, so it neither waits for transactions nor do they wait for it. It is up
 * while the database answers in time and what this replica says comes back to it.
 */
export interface ReplicaLink {
  /**
   * Opens it.
   *
   * @param withinMs how long to wait for it, in milliseconds; after that it goes on in the
   *   background
   */
  start(withinMs: number): Promise<void>;
  readonly isUp: boolean;
  /** Told of each change. @returns stops it */
  onChange(listener: (state: LinkState) => void): () => void;
  /**
   * Called with all that any replica says, in the order in which it was committed, while the link
   * is up.
   */
  onMessage(listener: (text: string) => void): void;
  /**
   * Runs a statement as a transaction of its own. Statements of one key run in the order of the
   * calls. Those of the empty key wait for no others.
   *
   * @throws LinkLostError when the link is lost, at once or after 2 s; it may have run. PylonError
   *   OVERLOADED when too many wait, and it may be refused; it has not run.
   */
  call(
    key: string,
    text: string,
    params: readonly Value[],
    mayBeRefused: boolean,
  ): Promise<Readonly<Record<string, Value>>[]>;
}

/** The link can't be used now. */
export class LinkLostError extends Error {
  override readonly name = "LinkLostError";
}

/** What a store counts of itself. */
export interface StoreStats {
  /** Reads on behalf of callers, since the start. */
  readonly reads: {
    /** Ended at their deadline. */
    readonly timedOut: number;
    /** Refused because too many waited. */
    readonly refused: number;
    /** That wait for a reader now. */
    readonly waiting: number;
  };
  /** Transactions that met another and were run again, since the start. */
  readonly conflicts: number;
  /** Connections now, and who waits for one; null where there is no pool. */
  readonly pool: { readonly open: number; readonly idle: number; readonly waiting: number } | null;
  /** Writes that wait for the only writer; null where there are several. */
  readonly queued: number | null;
  /** Changes of all replicas reach the followers; false while the database is lost. */
  readonly isFollowing: boolean;
}

/**
 * What a database must do for Pylon. SQLite and Postgres stand behind it, and one suite
 * (store.suite.ts) holds for both.
 *
 * Rows are JSON-ready: bool is true/false, datetime is ISO 8601 UTC with milliseconds, an absent
 * value is null. A table is an entity of the app or a system table (system-tables.ts): the store
 * treats both alike. Names and values were checked against the schema before they get here; a name
 * that is not in it is a bug and throws.
 */
export interface Store extends Reader {
  readonly dialect: "sqlite" | "postgres";
  /** Whether words that are nearly those of a search can be found. */
  readonly findsTypos: boolean;
  /** Null where there is no other replica. Closed with the store. */
  readonly link: ReplicaLink | null;
  /**
   * A reader for reads whose conditions, or whose number, a caller decides. A read that runs for
   * longer than its deadline is ended, and a caller whose reads are slow takes a part of the
   * store's readers, never all of them. Like the store's own reads, each sees every commit that was
   * answered before it.
   *
   * Its methods reject with PylonError QUERY_TIMEOUT when the read reached its deadline, and
   * OVERLOADED when too many reads wait, or this one waited for as long as it may run.
   */
  limitedReader(limits: ReadLimits): Reader;
  /**
   * How the database finds the rows of a read, if its tables were large: where an index leads to
   * them it is used. Reads no row.
   */
  explain(query: Select): Promise<QueryPlan>;
  /**
   * Runs work that reads only, and sees the database as of its first read all along: what is
   * committed meanwhile it does not see. The limits are those of `limitedReader`. The reader is
   * dead once `work` has settled or was aborted. `work` may run again, so it must have no effect.
   *
   * @param signal aborts the work: the promise rejects with its reason
   */
  snapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal?: AbortSignal,
  ): Promise<T>;
  /**
   * Runs `work` in a transaction: all of its writes are durable when the promise resolves, none is
   * there when it rejects. `work` may run again after a serialisation conflict (Postgres), so it
   * must have no effect outside of the transaction. The transaction is dead once `work` has settled
   * or was aborted: later calls on it reject.
   */
  transact<T>(work: (tx: Transaction) => Promise<T>, options?: TransactOptions): Promise<T>;

  /**
   * The log as it is now; `head` counts every change that was committed before the call, whichever
   * replica committed it.
   */
  bounds(): Promise<LogBounds>;
  /**
   * The changes after `seq`, oldest first, at least up to the newest head that was answered before
   * the call. They end before `limit` with the one at which they reach MAX_LOG_PAGE_BYTES.
   */
  changes(seq: number, limit: number): Promise<ChangeRecord[]>;
  /**
   * Calls `listener` with all later changes of all replicas, in order, each once, after they are
   * durable: once for each transaction.
   * @returns stops it.
   */
  follow(listener: (changes: readonly ChangeRecord[]) => void): () => void;
  /**
   * Answers when the followers have been called with every change that was committed before the
   * call.
   */
  settle(): Promise<void>;
  /** Forgets the oldest changes, so that at most `keep` are retained. */
  trimLog(keep: number): Promise<void>;
  /**
   * Forgets what was in rows that no longer exist: each change of such a row, up to its deletion,
   * says from then on only that the row is deleted, and
   * `before` has none of the given fields.
   *
   * @param after only rows that were deleted after this change
   * @returns the newest change that was looked at
   */
  forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number>;
  /**
   * Begins a new log, far beyond the numbers of the one before, so that every cursor of a client is
   * void and leads to a new snapshot. For a database that was restored from a backup: it would give
   * out numbers again that clients have seen for other changes. No server may run.
   */
  renewLog(): Promise<void>;

  /**
   * The manifest that the tables were last brought to, as JSON text, or null for a new database.
   */
  storedManifest(): Promise<string | null>;
  /**
   * Reads by other shapes than the stored manifest's: columns that an older version of the app left
   * behind are in no shape of it.
   */
  readerOf(shapes: SchemaShape): Reader;
  /**
   * Brings the tables to a new schema in one transaction. Replicas that start together take turns:
   * each plans from what the one before it left. Rows come into a new search index after that, some
   * at a time: a migration that breaks off meanwhile is completed by the next one.
   *
   * @param plan gets what `storedManifest` answers; what it throws leaves everything as it was
   * @throws PylonStartError when rows do not fit the new schema; nothing has changed then
   */
  migrate(plan: (stored: string | null) => SchemaChange): Promise<void>;
  /** What the store counts of itself; asks nobody. */
  stats(): StoreStats;
  /** The time by the clock that all servers of this database share, in milliseconds since 1970. */
  time(): Promise<number>;
  /** Answers when the database can be used, rejects when it can't. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
