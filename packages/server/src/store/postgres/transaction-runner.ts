import { PylonError } from "@pylonsync/protocol";
import type { Cancellation } from "../../util/cancellation.ts";
import { toError } from "../../util/errors.ts";
import type { Platform } from "../../platform.ts";
import type { Transaction, TransactOptions } from "../store.ts";
import { untilAborted } from "../until-aborted.ts";
import { resolveCommit } from "./commit-outcome.ts";
import type { ShareName } from "./connection-shares.ts";
import { isConflict, isLockTimeout, isUnreachable, translateError, unavailable } from "./errors.ts";
import { OpenTransaction } from "./open-transaction.ts";
import type { ConnectionPool, Lease } from "./pool.ts";
import type { TableSet } from "./postgres-reader.ts";
import { PostgresTransaction } from "./postgres-transaction.ts";
import { Retry } from "./retry.ts";
import { RowLocks, type HeldRows } from "./row-locks.ts";
import { OutcomeUnknown, SharedTransactions, type SharedWork } from "./shared-transactions.ts";
import type { UniqueIndexes } from "./unique-indexes.ts";

/** The maximum time for rolling back an aborted transaction, in milliseconds. */
const ROLLBACK_MS = 2_500;
const BEGIN = {
  // Rows are claimed a few at a time from tables that may be large, and grow faster than Postgres
  // updates its statistics.
  latest: ["BEGIN ISOLATION LEVEL READ COMMITTED", "SET LOCAL enable_seqscan = off"],
  snapshot: ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
  // An index scan locks the pages that it read, a sequential scan the whole table: in small tables
  // every two writers would conflict.
  serializable: ["BEGIN ISOLATION LEVEL SERIALIZABLE", "SET LOCAL enable_seqscan = off"],
} as const;
/**
 * The commit is acknowledged before it is on disk; a commit that is on disk includes all earlier
 * ones.
 */
const NO_FLUSH = "SET LOCAL synchronous_commit = off";

/** The dependencies of the transactions. */
export interface TransactionRunnerOptions {
  readonly pool: ConnectionPool;
  readonly platform: Platform;
  /** The statements that set the settings of a transaction. */
  readonly settings: readonly string[];
  readonly tables: () => TableSet;
  readonly unique: () => UniqueIndexes;
  /** Called after a transaction that has written to the log. */
  readonly onCommit: () => void;
}

/** A unit of work failed, for the `cause`, before it had sent a statement. */
class WorkFailed extends Error {
  override readonly name = "WorkFailed";
}

/** What came of a piece of work in an open transaction. */
interface Ran<T> {
  readonly result: T;
  readonly hasWritten: boolean;
}

/**
 * Begins, commits and rolls back transactions, retries them after a conflict, and lets small ones
 * share one.
 */
export class TransactionRunner {
  readonly #options: TransactionRunnerOptions;
  readonly #pool: ConnectionPool;
  readonly #rowLocks = new RowLocks();
  readonly #shared: SharedTransactions;
  #conflicts = 0;

  constructor(options: TransactionRunnerOptions) {
    this.#options = options;
    this.#pool = options.pool;
    this.#shared = new SharedTransactions(
      (works, isOpen) => this.#attemptAll(works, isOpen),
      options.platform,
    );
  }

  /** The number of attempts that conflicted with other transactions. */
  get conflicts(): number {
    return this.#conflicts;
  }

  transact<T>(work: (tx: Transaction) => Promise<T>, options: TransactOptions): Promise<T> {
    const alone = (it: typeof work): Promise<T> => this.#transactAlone(it, options);
    const { shared, isolation = "serializable", signal } = options;
    if (shared === undefined || isolation !== "serializable") return alone(work);
    return this.#shared.transact(shared, work, signal, alone);
  }

  async #transactAlone<T>(
    work: (tx: Transaction) => Promise<T>,
    options: TransactOptions,
  ): Promise<T> {
    const rows = this.#rowLocks.hold();
    const retry = new Retry(rows, options.signal, this.#options.platform);
    try {
      for (;;) {
        options.signal?.throwIfAborted();
        try {
          return await this.#attempt(work, options, rows, retry.share);
        } catch (error) {
          if (options.signal?.aborted === true) throw translateError(error);
          if (isConflict(error)) this.#conflicts += 1;
          if (!this.#pool.statements.names.learnFrom(error)) await retry.after(error);
        }
      }
    } finally {
      rows.release();
    }
  }

  /** Runs the work once. The error that it throws determines whether it is retried. */
  async #attempt<T>(
    work: (tx: Transaction) => Promise<T>,
    { signal, isolation = "serializable", mayBeLost = false }: TransactOptions,
    rows: HeldRows,
    share: ShareName,
  ): Promise<T> {
    const lease = await this.#pool.take(share, { signal });
    const begin = [
      ...BEGIN[isolation],
      ...this.#options.settings,
      ...(mayBeLost ? [NO_FLUSH] : []),
    ];
    const open = new OpenTransaction(lease, rows, begin);
    const { result, hasWritten } = await this.#within(open, signal, async (tx) => {
      const done = await untilAborted(work(tx), signal);
      await tx.finish();
      return done;
    });
    await this.#commit(open, hasWritten);
    return result;
  }

  /**
   * Runs pieces of work once, one after another in one transaction.
   *
   * @returns the number of pieces that were committed
   * @throws OutcomeUnknown, and the error that rolled back all of them
   */
  async #attemptAll(works: readonly SharedWork[], isOpen: () => boolean): Promise<number> {
    const rows = this.#rowLocks.hold();
    try {
      const lease = await this.#pool.take("write", {});
      const open = new OpenTransaction(lease, rows, [
        ...BEGIN.serializable,
        ...this.#options.settings,
      ]);
      const steps: Ran<void>[] = [];
      let count = 0;
      for (const work of works) {
        if (count > 0 && !isOpen()) break;
        const step = await this.#runShared(open, work);
        if (step !== null) steps.push(step);
        count += 1;
      }
      steps.push(await this.#within(open, undefined, (tx) => tx.finish()));
      const hasWritten = steps.some((step) => step.hasWritten);
      await this.#commit(open, hasWritten).catch((error: unknown) => {
        throw error instanceof PylonError ? new OutcomeUnknown("", { cause: error }) : error;
      });
      return count;
    } catch (error) {
      if (isConflict(error)) this.#conflicts += 1;
      this.#pool.statements.names.learnFrom(error);
      throw error;
    } finally {
      rows.release();
    }
  }

  /**
   * Runs one of the units of work that share a transaction.
   *
   * @returns null if it failed before its first statement, so that the transaction continues
   *   without it
   * @throws the error of a unit for which the transaction was rolled back
   */
  async #runShared(open: OpenTransaction, work: SharedWork): Promise<Ran<void> | null> {
    const { inserts, deferred, changes } = open;
    const before = [inserts.size, deferred.size, changes.length] as const;
    const { run, signal, failed } = work;
    try {
      return await this.#within(open, signal, (tx) => untilAborted(run(tx), signal), "if-sent");
    } catch (error) {
      if (!(error instanceof WorkFailed)) throw error;
      inserts.truncate(before[0]);
      deferred.truncate(before[1]);
      changes.length = before[2];
      failed(translateError(error.cause));
      return null;
    }
  }

  /**
   * Runs a unit of work in an open transaction.
   *
   * @param rollBack when to roll the transaction back after a failure: `if-sent`: only if the work
   *   has sent a statement
   * @throws WorkFailed if the work failed and the transaction was not rolled back
   */
  async #within<T>(
    open: OpenTransaction,
    signal: Cancellation | undefined,
    work: (tx: PostgresTransaction) => Promise<T>,
    rollBack: "always" | "if-sent" = "always",
  ): Promise<Ran<T>> {
    const { lease, rows } = open;
    const { tables, unique } = this.#options;
    const tx = new PostgresTransaction(open, this.#pool.statements, tables(), unique());
    try {
      signal?.throwIfAborted();
      const result = await work(tx);
      tx.end(
        new Error(
          "The transaction has ended: await every database call before the handler returns.",
        ),
      );
      await tx.settled();
      // A handler may have caught the error that made the transaction unusable; it is unusable
      // nevertheless.
      if (tx.failure !== null) throw tx.failure.error;
      return { result, hasWritten: tx.hasWritten };
    } catch (error) {
      tx.end(toError(error));
      if (rollBack === "if-sent" && !tx.hasSent && tx.failure === null)
        throw new WorkFailed("", { cause: error });
      const cause = this.#causeOf(tx.failure?.error ?? error, lease);
      await this.#rollBack(open, tx, isUnreachable(cause));
      if (isLockTimeout(cause)) rows.keepOnly(tx.target);
      throw cause;
    }
  }

  /** The reason why a connection broke, if the server sent it before it closed the connection. */
  #causeOf(error: unknown, { serverError }: Lease): unknown {
    return isUnreachable(error) && serverError !== undefined && !isUnreachable(serverError)
      ? serverError
      : error;
  }

  async #commit({ lease, mark, hasBegun }: OpenTransaction, hasWritten: boolean): Promise<void> {
    if (!hasBegun) return lease.release();
    try {
      await this.#pool.statements.runPlain(lease.client, "COMMIT");
      lease.release();
    } catch (error) {
      lease.release(true);
      if (!isUnreachable(error) || !hasWritten) throw error;
      // The connection broke during the commit: it may have succeeded.
      const outcome =
        mark === null ? "unknown" : await resolveCommit(this.#pool, mark, this.#options.platform);
      if (outcome === "aborted") throw error;
      if (outcome === "unknown") throw commitUnknown();
    }
    if (mark !== null) this.#options.onCommit();
  }

  /**
   * Rolls back a transaction, including a statement that is still running, and releases its
   * connection.
   *
   * @param isBroken whether the connection must not be used again, for example because it leads to
   *   a server that became read-only: the next one may lead to the new primary
   */
  async #rollBack(
    { lease, hasBegun }: OpenTransaction,
    tx: PostgresTransaction,
    isBroken: boolean,
  ): Promise<void> {
    if (!hasBegun) return lease.release(isBroken);
    try {
      if (tx.isRunning) await this.#pool.cancel(lease.client);
      await this.#pool.statements.runPlain(lease.client, "ROLLBACK", ROLLBACK_MS);
      lease.release(isBroken);
    } catch {
      lease.release(true);
    }
  }
}

function commitUnknown(): PylonError {
  const { message } = unavailable(null);
  return new PylonError(
    "OVERLOADED",
    `${message} The connection was lost during a write, so the write may have been committed.`,
    {
      hint: "Check the data before you retry, or send an op_id with the write.",
      extra: { retry_after_secs: 1 },
    },
  );
}
