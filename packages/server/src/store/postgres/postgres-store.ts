import type { Expr, SchemaShape } from "@pylonsync/query";
import { PylonError } from "@pylonsync/protocol";
import type { ClientBase, ClientConfig } from "pg";
import { systemPlatform, type Platform } from "../../platform.ts";
import type {
  Aggregate,
  Found,
  SearchSelect,
  ChangeRecord,
  DatabaseAccess,
  LogBounds,
  QueryPlan,
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
import { textOf, toChange } from "../answered-rows.ts";
import { tableShapes } from "../table-shapes.ts";
import { untilAborted } from "../until-aborted.ts";
import { BOUNDS, FORGET_DELETED, RAISE_FLOOR, READ, toBounds, TRIM } from "./change-log.ts";
import { ChangeTail } from "./change-tail.ts";
import { PostgresLink } from "./channel/postgres-link.ts";
import { firstOf } from "./codec.ts";
import type { ColumnRow } from "./connection.ts";
import { connectionOptions, type PostgresOptions } from "./connection-options.ts";
import { isStaleStatement, translateError } from "./errors.ts";
import { migrateSchema, prepareDatabase, renewLog, STORED_MANIFEST } from "./migrate.ts";
import { ConnectionPool } from "./pool.ts";
import { PostgresSnapshot } from "./postgres-snapshot.ts";
import { PostgresReader, TableSet } from "./postgres-reader.ts";
import { HAS_TRIGRAMS } from "./search-index.ts";
import { SILENCE_MS } from "./silence-watch.ts";
import { TransactionRunner } from "./transaction-runner.ts";
import { SESSION_LIMITS, snapshotSettings, transactionSettings } from "./session-settings.ts";
import { UniqueIndexes } from "./unique-indexes.ts";
import type { Cancellation } from "../../util/cancellation.ts";

const READINESS_MS = { connect: 5_000, query: 5_000 };
/** A migration, or trimming a long log, has no time limit. */
const MAINTENANCE_MS = { connect: 10_000, query: 0 };
/** The maximum time for the plan of a read, in milliseconds. */
const EXPLAIN_MS = 5_000;
/** The maximum number of attempts of reads on a snapshot, if a pooler loses prepared statements. */
const MAX_SNAPSHOT_ATTEMPTS = 5;
const TRIMMED_PER_BATCH = 10_000;
const TIME = `SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::text AS time`;
/**
 * Opens a Postgres database, and creates Pylon's own tables if they do not exist.
 *
 * @throws Error that describes the problem with the address or the server, without the password
 */
export async function openPostgresStore(options: PostgresOptions): Promise<PostgresStore> {
  const { limits = SESSION_LIMITS, observer, extraDdl = [], platform = systemPlatform } = options;
  const connection = await connectionOptions(options);
  const pools = openPools(connection, platform, options);
  try {
    if (await prepareDatabase(pools.maintenance, platform, extraDdl)) options.onCopy?.();
    const { onState } = options;
    const tail = new ChangeTail(pools.tail, { connection, platform, onState });
    await tail.start();
    return new PostgresStore({
      pools,
      platform,
      tail,
      link: new PostgresLink(connection, platform, observer),
      settings: transactionSettings(limits, connection),
      snapshotSettings: snapshotSettings(limits, connection),
      manifestJson: await storedManifestOf(pools.rows),
    });
  } catch (error) {
    await closeAll(pools);
    throw error;
  }
}

/**
 * The connections, divided by what must not wait for each other: readiness, the change tail and
 * maintenance have one each, so that they work while all connections for rows are in use.
 */
interface Pools {
  readonly rows: ConnectionPool;
  readonly tail: ConnectionPool;
  readonly readiness: ConnectionPool;
  readonly maintenance: ConnectionPool;
}

function openPools(connection: ClientConfig, platform: Platform, options: PostgresOptions): Pools {
  const { poolMax, observer, silenceMs = SILENCE_MS } = options;
  const one = { connection, platform, max: 1 };
  return {
    rows: new ConnectionPool({ ...one, max: poolMax, observer, silenceMs }),
    tail: new ConnectionPool({ ...one, observer, silenceMs }),
    readiness: new ConnectionPool({ ...one, deadlineMs: READINESS_MS }),
    maintenance: new ConnectionPool({ ...one, deadlineMs: MAINTENANCE_MS, observer }),
  };
}

async function closeAll(pools: Pools): Promise<void> {
  await Promise.all(Object.values(pools).map((pool: ConnectionPool) => pool.close()));
}

interface Parts {
  readonly pools: Pools;
  readonly platform: Platform;
  readonly tail: ChangeTail;
  readonly link: PostgresLink;
  /** The statements that set the settings of a transaction. */
  readonly settings: readonly string[];
  readonly snapshotSettings: readonly string[];
  readonly manifestJson: string | null;
}

/**
 * The Store on Postgres: serializable transactions, which are retried after a conflict, on a small
 * pool of connections.
 */
export class PostgresStore implements Store {
  readonly dialect = "postgres";
  readonly link: PostgresLink;
  readonly #platform: Platform;
  readonly #pools: Pools;
  readonly #pool: ConnectionPool;
  readonly #tail: ChangeTail;
  readonly #snapshotSettings: readonly string[];
  readonly #reads: PostgresReader;
  readonly #transactions: TransactionRunner;
  readonly #reading = { timedOut: 0, refused: 0 };
  #tables: TableSet;
  #unique: UniqueIndexes;

  constructor({ pools, platform, tail, link, settings, snapshotSettings, manifestJson }: Parts) {
    this.link = link;
    this.#platform = platform;
    this.#pools = pools;
    this.#pool = pools.rows;
    this.#tail = tail;
    this.#snapshotSettings = snapshotSettings;
    this.#tables = new TableSet(tableShapes(manifestJson));
    this.#unique = new UniqueIndexes(manifestJson);
    this.#reads = new PostgresReader(
      (text, params) => this.#read(text, params),
      () => this.#tables,
    );
    this.#transactions = new TransactionRunner({
      pool: pools.rows,
      platform,
      settings,
      tables: () => this.#tables,
      unique: () => this.#unique,
      onCommit: () => tail.wake(),
    });
  }

  get findsTypos(): boolean {
    return this.#tables.hasTrigrams;
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
  count(entity: string, where?: Expr): Promise<number> {
    return this.#reads.count(entity, where);
  }
  aggregate(spec: Aggregate): Promise<Record<string, Value>[]> {
    return this.#reads.aggregate(spec);
  }
  test(expr: Expr): Promise<boolean> {
    return this.#reads.test(expr);
  }

  transact<T>(work: (tx: Transaction) => Promise<T>, options: TransactOptions = {}): Promise<T> {
    return this.#transactions.transact(work, options);
  }

  async bounds(): Promise<LogBounds> {
    return toBounds(firstOf(await this.#pool.read(BOUNDS, [])));
  }
  async changes(seq: number, limit: number): Promise<ChangeRecord[]> {
    return (await this.#pool.read(READ, [seq, limit])).map(toChange);
  }
  follow(listener: (changes: readonly ChangeRecord[]) => void): () => void {
    return this.#tail.follow(listener);
  }
  settle(): Promise<void> {
    return this.#tail.settle();
  }
  async trimLog(keep: number): Promise<void> {
    // Committed changes are numbered first, so that they count among those that are kept.
    await this.bounds();
    await this.#maintain(async (client) => {
      const { rows } = await client.query<{ floor: string }>(RAISE_FLOOR, [Math.max(1, keep)]);
      const floor = Number(rows[0]?.floor ?? 0);
      // In batches, so that no replica waits long for the locks of one.
      while (
        ((await client.query(TRIM, [floor, TRIMMED_PER_BATCH])).rowCount ?? 0) === TRIMMED_PER_BATCH
      );
    });
  }

  async forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number> {
    const { head } = await this.bounds();
    await this.#maintain(async (client) => {
      await client.query(FORGET_DELETED, [entity, after, head, fields]);
    });
    return head;
  }

  renewLog(): Promise<void> {
    return renewLog(this.#pools.maintenance, this.#platform);
  }

  storedManifest(): Promise<string | null> {
    return storedManifestOf(this.#pool);
  }

  readerOf(shapes: SchemaShape): Reader {
    const tables = new TableSet(shapes);
    return new PostgresReader(
      (text, params) => this.#pool.read(text, params),
      () => tables,
    );
  }

  async migrate(plan: (stored: string | null) => SchemaChange): Promise<void> {
    const manifestJson = await migrateSchema(this.#pools, this.#platform, plan);
    const [trigrams] = await this.#pool.read(HAS_TRIGRAMS, []);
    this.#tables = new TableSet(tableShapes(manifestJson), trigrams?.["found"] === true);
    this.#unique = new UniqueIndexes(manifestJson);
  }

  limitedReader(limits: ReadLimits): Reader {
    return new PostgresReader(
      // Rows are found quickly by their ids, so these reads do not count against the caller's
      // share.
      (text, params, isById) =>
        isById
          ? this.#read(text, params)
          : this.#counted(this.#pool.readWithin(text, params, limits)),
      () => this.#tables,
    );
  }

  async snapshot<T>(
    work: (reader: Reader) => Promise<T>,
    limits: ReadLimits,
    signal?: Cancellation,
  ): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      const snapshot = new PostgresSnapshot(this.#pool, this.#snapshotSettings, limits);
      const reader = new PostgresReader(
        (text, params) => this.#counted(snapshot.run(text, params)),
        () => this.#tables,
      );
      try {
        return await untilAborted(work(reader), signal);
      } catch (error) {
        const mayTryAgain = this.#pool.statements.names.learnFrom(error) || isStaleStatement(error);
        if (!mayTryAgain || attempt === MAX_SNAPSHOT_ATTEMPTS) throw translateError(error);
      } finally {
        // The result does not wait for it.
        void snapshot.end();
      }
    }
  }

  async explain(query: Select): Promise<QueryPlan> {
    const settings = [...this.#snapshotSettings, "SET LOCAL enable_seqscan = off"];
    const limits = { caller: "explain", timeoutMs: EXPLAIN_MS };
    const snapshot = new PostgresSnapshot(this.#pool, settings, limits);
    const run = (text: string, params: readonly Value[]): Promise<ColumnRow[]> =>
      snapshot.run(text, params);
    try {
      return await new PostgresReader(run, () => this.#tables).explain(query);
    } finally {
      await snapshot.end();
    }
  }

  stats(): StoreStats {
    return {
      reads: { ...this.#reading, waiting: this.#pool.waitingQueries },
      conflicts: this.#transactions.conflicts,
      pool: this.#pool.stats(),
      queued: null,
      isFollowing: this.#tail.isUp,
    };
  }

  /** In a simulation, the time is that of the simulation. */
  async time(): Promise<number> {
    if (this.#platform.now !== systemPlatform.now) return this.#platform.now();
    const [row] = await this.#pool.read(TIME, []);
    return Number(row?.["time"]);
  }

  ping(): Promise<DatabaseAccess> {
    return this.#pools.readiness.probe();
  }

  async close(): Promise<void> {
    await Promise.all([this.link.close(), this.#tail.close()]);
    await closeAll(this.#pools);
  }

  /** @throws the error of the database, translated */
  #read(text: string, params: readonly Value[]): Promise<ColumnRow[]> {
    return this.#pool.read(text, params).catch((error: unknown) => {
      throw translateError(error);
    });
  }

  /** Counts the reads of callers that were ended or refused. */
  async #counted<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (failure) {
      const error = translateError(failure);
      if (error instanceof PylonError && error.code === "QUERY_TIMEOUT")
        this.#reading.timedOut += 1;
      if (error instanceof PylonError && error.code === "OVERLOADED") this.#reading.refused += 1;
      throw error;
    }
  }

  async #maintain(work: (client: ClientBase) => Promise<void>): Promise<void> {
    const lease = await this.#pools.maintenance.take("write");
    try {
      await work(lease.client);
      lease.release();
    } catch (error) {
      lease.release(true);
      throw translateError(error);
    }
  }
}

async function storedManifestOf(pool: ConnectionPool): Promise<string | null> {
  const [row] = await pool.read(STORED_MANIFEST, []);
  return row === undefined ? null : textOf(row, "value");
}
