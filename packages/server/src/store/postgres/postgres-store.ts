import type { Expr, SchemaShape } from "@pylonsync/query";
import { PylonError } from "@pylonsync/protocol";
import type { PoolClient } from "pg";
import type {
  Aggregate,
  ChangeRecord,
  LogBounds,
  Reader,
  SchemaChange,
  Select,
  Store,
  StoreFigures,
  StoredRow,
  Transaction,
  TransactOptions,
  Value,
} from "../store.ts";
import { tableShapes } from "../table-shapes.ts";
import { untilAborted } from "../until-aborted.ts";
import {
  BOUNDS,
  FORGET_DELETED,
  RAISE_FLOOR,
  READ,
  toBounds,
  toChange,
  TRIM,
} from "./change-log.ts";
import { ChangeTail } from "./change-tail.ts";
import { firstOf } from "./codec.ts";
import { resolveCommit } from "./commit-outcome.ts";
import { connectionOptions, type PostgresOptions } from "./connection-options.ts";
import {
  isConflict,
  isStaleStatement,
  isUnreachable,
  translateError,
  unavailable,
} from "./errors.ts";
import { migrateSchema, prepareDatabase, renewLog, STORED_MANIFEST } from "./migrate.ts";
import { ConnectionPool, pause, runAll } from "./pool.ts";
import { PostgresLink } from "./postgres-link.ts";
import { PostgresReader, TableSet } from "./postgres-reader.ts";
import { PostgresTransaction, type TransactionMark } from "./postgres-transaction.ts";
import { UniqueIndexes } from "./unique-indexes.ts";

/** Attempts at a piece of work that meets others. */
const MAX_ATTEMPTS = 12;
/** How long a write waits for the database to come back, in milliseconds. */
const PATIENCE_MS = 5_000;
const TRIMMED_AT_ONCE = 10_000;
const BEGIN = {
  snapshot: ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
  // An index scan locks the pages that it read, a sequential scan the table: small tables would
  // make every pair of writers a conflict.
  serializable: ["BEGIN ISOLATION LEVEL SERIALIZABLE", "SET LOCAL enable_seqscan = off"],
} as const;

/**
 * Opens a Postgres database, and makes Pylon's own tables when they are not there.
 *
 * @throws Error that says what is wrong with the address or the server, without the password
 */
export async function openPostgresStore(options: PostgresOptions): Promise<PostgresStore> {
  const connection = await connectionOptions(options);
  const pool = new ConnectionPool({ connection, max: options.poolMax, observer: options.observer });
  try {
    await prepareDatabase(pool);
    const tail = new ChangeTail(pool, { connection, onState: options.onState });
    await tail.start();
    return new PostgresStore(
      { pool, tail, link: new PostgresLink(connection, options.observer) },
      await storedManifestOf(pool),
    );
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/**
 * The Store on Postgres: serialisable transactions, tried again on conflict, on a small pool of
 * connections.
 */
export class PostgresStore implements Store {
  readonly dialect = "postgres";
  readonly link: PostgresLink;
  readonly #pool: ConnectionPool;
  readonly #tail: ChangeTail;
  readonly #reads: PostgresReader;
  #conflicts = 0;
  #tables: TableSet;
  #unique: UniqueIndexes;

  constructor(
    {
      pool,
      tail,
      link,
    }: { readonly pool: ConnectionPool; readonly tail: ChangeTail; readonly link: PostgresLink },
    manifestJson: string | null,
  ) {
    this.link = link;
    this.#pool = pool;
    this.#tail = tail;
    this.#tables = new TableSet(tableShapes(manifestJson));
    this.#unique = new UniqueIndexes(manifestJson);
    this.#reads = new PostgresReader(
      (text, params) =>
        pool.read(text, params).catch((error: unknown) => {
          throw translateError(error);
        }),
      () => this.#tables,
    );
  }

  get(entity: string, id: string): Promise<StoredRow | null> {
    return this.#reads.get(entity, id);
  }
  select(query: Select): Promise<StoredRow[]> {
    return this.#reads.select(query);
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

  async transact<T>(
    work: (tx: Transaction) => Promise<T>,
    options: TransactOptions = {},
  ): Promise<T> {
    const { signal } = options;
    const end = performance.now() + PATIENCE_MS;
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await this.#attempt(work, options);
      } catch (error) {
        const mayTryAgain =
          this.#pool.statements.names.learnFrom(error) ||
          ((isConflict(error) || isStaleStatement(error)) && attempt < MAX_ATTEMPTS) ||
          (isUnreachable(error) && performance.now() < end);
        if (!mayTryAgain || signal?.aborted === true) throw translateError(error);
        if (isConflict(error)) this.#conflicts += 1;
        await pause(attempt);
      }
    }
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
    // What is committed is numbered first, so that it counts among what is kept.
    await this.bounds();
    const client = await this.#pool.take();
    try {
      const { rows } = await client.query<{ floor: string }>(RAISE_FLOOR, [Math.max(1, keep)]);
      const floor = Number(rows[0]?.floor ?? 0);
      // In pieces, so that no replica waits long for the locks of one.
      while (
        ((await client.query(TRIM, [floor, TRIMMED_AT_ONCE])).rowCount ?? 0) === TRIMMED_AT_ONCE
      );
      client.release();
    } catch (error) {
      client.release(true);
      throw translateError(error);
    }
  }

  async forgetDeleted(entity: string, fields: readonly string[], after: number): Promise<number> {
    const { head } = await this.bounds();
    const client = await this.#pool.take();
    try {
      await client.query(FORGET_DELETED, [entity, after, head, fields]);
      client.release();
      return head;
    } catch (error) {
      client.release(true);
      throw translateError(error);
    }
  }

  renewLog(): Promise<void> {
    return renewLog(this.#pool);
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
    const manifestJson = await migrateSchema(this.#pool, plan);
    this.#tables = new TableSet(tableShapes(manifestJson));
    this.#unique = new UniqueIndexes(manifestJson);
  }

  figures(): StoreFigures {
    return {
      conflicts: this.#conflicts,
      pool: this.#pool.figures(),
      queued: null,
      isFollowing: this.#tail.isUp,
    };
  }

  async ping(): Promise<void> {
    await this.#pool.probe();
  }

  async close(): Promise<void> {
    await Promise.all([this.link.close(), this.#tail.close()]);
    await this.#pool.close();
  }

  /** Runs the work once. What it throws says whether to try again. */
  async #attempt<T>(
    work: (tx: Transaction) => Promise<T>,
    { signal, isolation = "serializable" }: TransactOptions,
  ): Promise<T> {
    const client = await this.#pool.take();
    const tx = new PostgresTransaction(client, this.#pool.statements, this.#tables, this.#unique);
    let result: T;
    let mark: TransactionMark | null;
    try {
      await runAll(client, ...BEGIN[isolation]);
      result = await untilAborted(work(tx), signal);
      tx.end(
        new Error(
          "The transaction has ended: await every database call before the handler returns.",
        ),
      );
      mark = await tx.flush();
      // A handler may have caught what made the transaction unusable; it is unusable all the same.
      if (tx.failure !== null) throw tx.failure.error;
    } catch (error) {
      tx.end(error instanceof Error ? error : new Error(String(error)));
      await giveUp(client);
      throw tx.failure?.error ?? error;
    }
    await this.#commit(client, tx, mark);
    return result;
  }

  async #commit(
    client: PoolClient,
    tx: PostgresTransaction,
    mark: TransactionMark | null,
  ): Promise<void> {
    try {
      await this.#pool.statements.runPlain(client, "COMMIT");
      client.release();
    } catch (error) {
      client.release(true);
      if (!isUnreachable(error) || !tx.hasWritten) throw error;
      // The connection broke while the commit was under way: it may have been done.
      const outcome = mark === null ? "unknown" : await resolveCommit(this.#pool, mark);
      if (outcome === "aborted") throw error;
      if (outcome === "unknown") throw commitUnknown();
    }
    if (mark !== null) this.#tail.wake();
  }
}

async function giveUp(client: PoolClient): Promise<void> {
  try {
    await client.query("ROLLBACK");
    client.release();
  } catch {
    client.release(true);
  }
}

async function storedManifestOf(pool: ConnectionPool): Promise<string | null> {
  const [row] = await pool.read(STORED_MANIFEST, []);
  return (row?.["value"] as string | undefined) ?? null;
}

function commitUnknown(): PylonError {
  const { message } = unavailable();
  return new PylonError(
    "OVERLOADED",
    `${message} It broke off while it was writing, so the write may have been made.`,
    {
      hint: "Look before you try again, or send an op_id with the write.",
      extra: { retry_after_secs: 1 },
    },
  );
}
