import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { PylonError } from "@pylonsync/protocol";
import type { Expr, SchemaShape } from "@pylonsync/query";
import { Database, SQLiteError } from "bun:sqlite";
import { systemPlatform, type Platform } from "../../platform.ts";
import type { MigrationStep } from "../../schema/migration.ts";
import { notUnique } from "../rows-do-not-fit.ts";
import type { QueryObserver } from "../../observe/query-observer.ts";
import type {
  Aggregate,
  Found,
  QueryPlan,
  SearchSelect,
  ChangeRecord,
  DatabaseAccess,
  DatabaseState,
  LogBounds,
  Reader,
  ReadLimits,
  SchemaChange,
  Select,
  Store,
  StoreStats,
  StoredRow,
  Transaction,
  TransactOptions,
  Value,
} from "../store.ts";
import { sqlitePlan } from "../sql/query-plan.ts";
import { tableShapes } from "../table-shapes.ts";
import { recordMigration } from "../sql/record-migration.ts";
import { untilAborted } from "../until-aborted.ts";
import {
  changesAfter,
  forgetDeletedRows,
  logBounds,
  skipLogNumbers,
  trimChanges,
} from "./change-log.ts";
import { BASE_DDL, ddlOf, missingColumns } from "./ddl.ts";
import { isDamage, isWriteFailure } from "./errors.ts";
import { GroupCommit } from "./group-commit.ts";
import { repairDates, timeOf } from "./repair-dates.ts";
import { ReadPlans } from "./read-plans.ts";
import { ReadSnapshot } from "./read-snapshot.ts";
import { retypeColumn } from "./retype-column.ts";
import { ReaderPool } from "./reader-pool.ts";
import { fillSearch, unfilled } from "./search-index.ts";
import { refuseOtherName } from "./server-note.ts";
import { SqliteReader, TableSet } from "./sqlite-reader.ts";
import { SnapshotSource } from "./snapshot-source.ts";
import { SqliteTransaction } from "./sqlite-transaction.ts";
import { LimitedConnection, OwnConnection, type LimitedServices } from "./statement-sources.ts";
import { StatementCache } from "./statements.ts";
import type { Cancellation } from "../../util/cancellation.ts";

type OnState = (state: DatabaseState, error?: unknown) => void;
type Listener = (changes: readonly ChangeRecord[]) => void;

/** The size of the largest row that an app may write by default. */
const PROBE_BYTES = 1024 * 1024;

/** The minimum time between two probes that writes cause, in milliseconds. */
const PROBE_MS = 1_000;

const SET_META = `INSERT INTO "_pylon_meta" (key, value) VALUES (?, ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`;

/**
 * Opens the database at `path`; creates it if it does not exist.
 *
 * @param path a file; its folder is created
 * @param observer notified of each statement
 * @param onState called when the file or its disk fails, and when a write succeeds after that
 * @throws Error if the file can't be opened or is not a Pylon database
 */
export function openSqliteStore(
  path: string,
  observer: QueryObserver | null = null,
  onState: OnState = () => undefined,
  platform: Platform = systemPlatform,
): SqliteStore {
  mkdirSync(dirname(path), { recursive: true });
  return new SqliteStore(path, observer, onState, platform);
}

/**
 * The Store on SQLite: one connection writes, one reads, and reads that may take long run in
 * separate processes. WAL with synchronous=FULL, so that acknowledged writes survive a power
 * failure; readers see the last commit while a transaction is open.
 */
export class SqliteStore implements Store {
  readonly dialect = "sqlite";
  readonly findsTypos = true;
  readonly link = null;
  readonly #platform: Platform;
  readonly #writer: Database;
  readonly #reader: Database;
  readonly #writerStatements: StatementCache;
  readonly #readerStatements: StatementCache;
  readonly #commits: GroupCommit;
  readonly #reads: SqliteReader;
  readonly #limited: LimitedServices;
  readonly #snapshot: ReadSnapshot;
  readonly #listeners = new Set<Listener>();
  readonly #onState: OnState;
  #state: DatabaseState = "back";
  #isDamaged = false;
  #probeAt = -Infinity;
  #epoch: string;
  #commitCount = 0;
  /** Null: they must be read, because the log has another beginning. */
  #bounds: LogBounds | null = null;
  #tables = new TableSet(tableShapes(null));

  constructor(path: string, observer: QueryObserver | null, onState: OnState, platform: Platform) {
    this.#platform = platform;
    this.#onState = onState;
    this.#writer = open(path);
    // If the file can't be written, SQLite opens it read-only without an error.
    this.#writer.run("BEGIN IMMEDIATE");
    this.#writer.run("ROLLBACK");
    for (const sql of [...missingColumns((table) => columnsOf(this.#writer, table)), ...BASE_DDL])
      this.#writer.run(sql);
    this.#reader = open(path);
    this.#reader.run("PRAGMA query_only = ON");
    const onFailure = (error: unknown): void => this.#failed(error);
    this.#writerStatements = new StatementCache(this.#writer, observer, onFailure, platform);
    this.#readerStatements = new StatementCache(this.#reader, observer, onFailure, platform);
    this.#epoch = this.#meta("epoch") ?? this.#setMeta("epoch", platform.uuid());
    this.#snapshot = new ReadSnapshot(this.#readerStatements, platform);
    const own = new OwnConnection(this.#readerStatements, () => this.#snapshot.enter());
    this.#reads = new SqliteReader(own, () => this.#tables);
    const plans = new ReadPlans(this.#reader);
    const pool = new ReaderPool(path, platform);
    this.#limited = { own, plans, pool, observer, platform, onFailure };
    const ownReads = new SqliteReader(
      new OwnConnection(this.#writerStatements, () => undefined),
      () => this.#tables,
    );
    this.#commits = new GroupCommit(
      this.#writerStatements,
      platform,
      () => new SqliteTransaction(this.#writerStatements, ownReads, this.#tables),
      (transactions) => this.#publish(transactions),
    );
    const stored = this.#meta("manifest");
    if (stored !== null) this.#adopt(stored);
  }

  get(entity: string, id: string): Promise<StoredRow | null> {
    return this.#reads.get(entity, id);
  }
  select(query: Select): Promise<StoredRow[]> {
    return this.#reads.select(query);
  }
  search(query: SearchSelect): Promise<Found> {
    return this.#reads.search(query);
  }
  explain(query: Select): Promise<QueryPlan> {
    const sql = this.#reads.statementOf(query);
    return Promise.resolve(sqlitePlan(sql, this.#limited.plans.stepsOf(sql)));
  }
  count(entity: string, where?: Expr): Promise<number> {
    return this.#reads.count(entity, where);
  }
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    return this.#reads.aggregate(spec);
  }
  test(expr: Expr): Promise<boolean> {
    return this.#reads.test(expr);
  }

  limitedReader(limits: ReadLimits): Reader {
    return new SqliteReader(new LimitedConnection(this.#limited, limits), () => this.#tables);
  }
  async snapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal?: Cancellation,
  ): Promise<T> {
    const done =
      (await this.#tryOnSnapshot(work, limits, signal, false)) ??
      (await this.#tryOnSnapshot(work, limits, signal, true));
    if (done === null) throw new Error("Reads in a transaction did not see the same snapshot.");
    return done.result;
  }

  transact<T>(work: (tx: Transaction) => Promise<T>, options: TransactOptions = {}): Promise<T> {
    return this.#commits.submit(work, options.signal);
  }

  async bounds(): Promise<LogBounds> {
    if (this.#bounds === null) {
      this.#snapshot.enter();
      this.#bounds = logBounds(this.#readerStatements, this.#epoch);
    }
    return this.#bounds;
  }
  async changes(seq: number, limit: number): Promise<ChangeRecord[]> {
    this.#snapshot.enter();
    return changesAfter(this.#readerStatements, seq, limit);
  }
  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** Not needed: a commit calls the followers before its work returns. */
  async settle(): Promise<void> {}
  async trimLog(keep: number): Promise<void> {
    await this.#commits.submit(async () => trimChanges(this.#writerStatements, keep));
    this.#bounds = null;
  }
  async forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number> {
    return this.#commits.submit(async () =>
      forgetDeletedRows(this.#writerStatements, entity, fields, after),
    );
  }
  async renewLog(): Promise<void> {
    this.#epoch = await this.#commits.submit(async () => {
      skipLogNumbers(this.#writerStatements);
      return this.#setMeta("epoch", this.#platform.uuid());
    });
    this.#bounds = null;
  }

  async storedManifest(): Promise<string | null> {
    return this.#meta("manifest");
  }

  readerOf(shapes: SchemaShape): Reader {
    const tables = new TableSet(shapes);
    return new SqliteReader(this.#limited.own, () => tables);
  }

  async migrate(plan: (stored: string | null) => SchemaChange): Promise<void> {
    const stored = this.#meta("manifest");
    const { migration, manifestJson, by } = plan(stored);
    if (migration.steps.length > 0 || stored !== manifestJson) {
      await this.#commits.submit(async () => {
        const started = this.#platform.monotonic();
        for (const step of migration.steps) this.#execute(step);
        this.#setMeta("manifest", manifestJson);
        const { text, params } = recordMigration(migration, by, {
          id: this.#platform.uuid(),
          now: this.#platform.now(),
          tookMs: this.#platform.monotonic() - started,
        });
        if (migration.steps.length > 0) this.#writer.query(text).run(...params);
      });
    }
    await this.#fillSearches();
    this.#snapshot.leave();
    this.#writerStatements.clear();
    this.#readerStatements.clear();
    this.#limited.plans.clear();
    this.#adopt(manifestJson);
  }

  async #fillSearches(): Promise<void> {
    for (const entity of unfilled(this.#writer))
      while (await this.#commits.submit(async () => fillSearch(this.#writer, entity)));
  }

  /**
   * Executes a step.
   *
   * @throws PylonStartError if rows do not fit
   */
  #execute(step: MigrationStep): void {
    if (step.kind === "retype_column" || step.kind === "convert_column")
      return retypeColumn(this.#writer, step);
    const now = timeOf(this.#writer);
    try {
      if (step.kind === "repair_dates") repairDates(this.#writer, step, now);
      else for (const sql of ddlOf(step, now)) this.#writer.run(sql);
    } catch (error) {
      if (error instanceof SQLiteError && error.code === "SQLITE_CONSTRAINT_UNIQUE")
        throw notUnique(`${error.message}.`);
      throw error;
    }
  }

  stats(): StoreStats {
    return {
      reads: this.#limited.pool.counts,
      conflicts: 0,
      pool: null,
      queued: this.#commits.size,
      isFollowing: true,
    };
  }

  async time(): Promise<number> {
    return this.#platform.now();
  }

  async ping(): Promise<DatabaseAccess> {
    if (this.#state === "back") {
      this.#readerStatements.first("SELECT 1", []);
      return "up";
    }
    if (this.#isDamaged)
      throw new PylonError("STORAGE_UNAVAILABLE", "The database file is damaged.", {
        hint: "Restore a backup.",
      });
    try {
      // On a full disk a small row may still find room in the write-ahead log.
      for (const text of ["x".repeat(PROBE_BYTES), new Date(this.#platform.now()).toISOString()])
        await this.#commits.submit(async () => {
          this.#writerStatements.run(SET_META, ["probe", text]);
        });
    } catch (error) {
      if (this.#state !== "read-only") throw error;
      this.#readerStatements.first("SELECT 1", []);
      return "read-only";
    }
    this.#report("back");
    return "up";
  }

  async close(): Promise<void> {
    await this.#limited.pool.close();
    await this.#commits.idle();
    this.#snapshot.leave();
    this.#writerStatements.clear();
    this.#readerStatements.clear();
    this.#reader.close();
    try {
      this.#writer.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      // On a full disk everything remains in the write-ahead log, which the next start applies.
      this.#failed(error);
    }
    this.#writer.close();
  }

  /** @returns null if the reads did not all see the same state; reads in one process always do */
  async #tryOnSnapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal: Cancellation | undefined,
    isElsewhere: boolean,
  ): Promise<{ readonly result: T } | null> {
    signal?.throwIfAborted();
    const source = new SnapshotSource(this.#limited, limits, () => this.#commitCount, isElsewhere);
    try {
      const reader = new SqliteReader(source, () => this.#tables);
      const result = await untilAborted(work(reader), signal);
      // The work may have caught the error of inconsistent reads.
      return source.isInconsistent ? null : { result };
    } catch (error) {
      if (source.isInconsistent) return null;
      throw error;
    } finally {
      source.end();
    }
  }

  #adopt(manifestJson: string): void {
    this.#tables = new TableSet(tableShapes(manifestJson));
  }

  #publish(transactions: readonly (readonly ChangeRecord[])[]): void {
    this.#snapshot.leave();
    this.#commitCount += 1;
    if (transactions.length === 0) return;
    const head = transactions.at(-1)?.at(-1)?.seq ?? 0;
    if (this.#bounds !== null)
      this.#bounds = this.#bounds.head === 0 ? null : { ...this.#bounds, head };
    if (this.#state === "read-only") this.#probeLater();
    else this.#report("back");
    for (const changes of transactions) for (const listener of this.#listeners) listener(changes);
  }

  /**
   * Checks whether the disk has room again, at most once in a while: small writes may succeed, and
   * large ones fail.
   */
  #probeLater(): void {
    const now = this.#platform.monotonic();
    if (now < this.#probeAt) return;
    this.#probeAt = now + PROBE_MS;
    // If it fails, the state stays.
    this.ping().catch(() => undefined);
  }

  #failed(error: unknown): void {
    this.#report(isWriteFailure(error) ? "read-only" : "lost", error);
  }

  #report(state: DatabaseState, error?: unknown): void {
    this.#isDamaged ||= error !== undefined && isDamage(error);
    // A damaged file counts as damaged even if some writes still succeed.
    if (state === this.#state || (state === "back" && this.#isDamaged)) return;
    this.#state = state;
    this.#onState(state, error);
  }

  #meta(key: string): string | null {
    const row = this.#writer
      .query<{ value: string }, [string]>(`SELECT value FROM "_pylon_meta" WHERE key = ?`)
      .get(key);
    return row?.value ?? null;
  }

  #setMeta(key: string, value: string): string {
    this.#writer.query(SET_META).run(key, value);
    return value;
  }
}

function columnsOf(database: Database, table: string): ReadonlySet<string> {
  return new Set(
    database
      .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
      .all(table)
      .map(({ name }) => name),
  );
}

function open(path: string): Database {
  refuseOtherName(path);
  const database = new Database(path, { create: true, readwrite: true });
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = FULL");
  database.run("PRAGMA busy_timeout = 5000");
  database.run("PRAGMA foreign_keys = OFF");
  database.run("PRAGMA cache_size = -16000");
  return database;
}
