import { currentOperation, runIn } from "../../observe/operation.ts";
import { toError } from "../../util/errors.ts";
import type { Platform } from "../../platform.ts";
import type { ChangeRecord } from "../store.ts";
import { untilAborted } from "../until-aborted.ts";
import { translateError } from "./errors.ts";
import type { SqliteTransaction } from "./sqlite-transaction.ts";
import type { StatementCache } from "./statements.ts";
import type { Cancellation } from "../../util/cancellation.ts";

const MAX_BATCH = 512;
const MAX_BATCH_MS = 20;

interface Job {
  readonly run: (tx: SqliteTransaction) => Promise<unknown>;
  readonly signal: Cancellation | undefined;
  resolve(value: unknown): void;
  reject(reason: unknown): void;
}

interface Finished {
  readonly job: Job;
  readonly value: unknown;
}

function transactionEnded(): Error {
  return new Error(
    "The transaction has ended: await every database call before the handler returns.",
  );
}

/**
 * Runs write work sequentially, each piece in a savepoint of a shared transaction, and makes all of
 * it durable with one commit. The first piece needs no savepoint.
 *
 * One fsync costs as much as dozens of inserts, so all waiting work shares one. A piece that throws
 * is rolled back to its savepoint and leaves nothing; the others continue. No caller gets a result
 * before the commit of its work.
 */
export class GroupCommit {
  readonly #statements: StatementCache;
  readonly #platform: Platform;
  readonly #begin: () => SqliteTransaction;
  readonly #onCommit: (transactions: readonly (readonly ChangeRecord[])[]) => void;
  readonly #queue: Job[] = [];
  #running: Promise<void> | null = null;

  constructor(
    statements: StatementCache,
    platform: Platform,
    begin: () => SqliteTransaction,
    onCommit: (transactions: readonly (readonly ChangeRecord[])[]) => void,
  ) {
    this.#statements = statements;
    this.#platform = platform;
    this.#begin = begin;
    this.#onCommit = onCommit;
  }

  submit<T>(run: (tx: SqliteTransaction) => Promise<T>, signal?: Cancellation): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const operation = currentOperation();
      // The work runs in the event loop turn of the caller that filled the queue first, but in the
      // context of the operation that submitted it.
      const runForIt = (tx: SqliteTransaction): Promise<T> => runIn(operation, () => run(tx));
      this.#queue.push({
        run: runForIt,
        signal,
        resolve,
        reject,
      });
      this.#running ??= runIn(undefined, () => this.#drain());
    });
  }

  /** The number of waiting pieces of work. */
  get size(): number {
    return this.#queue.length;
  }

  /** Resolves when nothing is queued or running. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #drain(): Promise<void> {
    // In the rest of this turn of the event loop, other requests that arrived at the same time
    // submit their work: it shares the commit, and the delivery to many sockets.
    await this.#nextTurn();
    while (this.#queue.length > 0) {
      await this.#commitBatch();
      if (this.#queue.length === 0) await this.#nextTurn();
    }
    this.#running = null;
  }

  async #commitBatch(): Promise<void> {
    const finished: Finished[] = [];
    const transactions: (readonly ChangeRecord[])[] = [];
    try {
      this.#exec("BEGIN IMMEDIATE");
    } catch (error) {
      this.#queue.shift()?.reject(translateError(error));
      return;
    }
    const { monotonic } = this.#platform;
    const started = monotonic();
    try {
      for (let taken = 0; taken < MAX_BATCH && monotonic() - started < MAX_BATCH_MS; taken += 1) {
        const job = this.#queue.shift();
        if (job === undefined) break;
        const done = await this.#runJob(job, transactions, finished.length === 0);
        if (done !== null) finished.push(done);
      }
      this.#exec("COMMIT");
    } catch (error) {
      this.#rollback();
      for (const { job } of finished) job.reject(translateError(error));
      return;
    }
    this.#onCommit(transactions);
    for (const { job, value } of finished) job.resolve(value);
  }

  /**
   * @param isFirst the transaction contains nothing yet, so that it is itself the savepoint
   * @returns null if only this job has failed
   * @throws if the transaction of the whole batch is lost; the job has been rejected
   */
  async #runJob(
    job: Job,
    transactions: (readonly ChangeRecord[])[],
    isFirst: boolean,
  ): Promise<Finished | null> {
    if (job.signal?.aborted === true) {
      job.reject(job.signal.reason);
      return null;
    }
    const tx = this.#begin();
    try {
      if (!isFirst) this.#exec("SAVEPOINT work");
      const value = await untilAborted(job.run(tx), job.signal);
      tx.end(transactionEnded);
      if (!isFirst) this.#exec("RELEASE work");
      if (tx.changes.length > 0) transactions.push(tx.changes);
      return { job, value };
    } catch (error) {
      tx.end(() => toError(error));
      job.reject(translateError(error));
      this.#exec(isFirst ? "ROLLBACK" : "ROLLBACK TO work");
      this.#exec(isFirst ? "BEGIN IMMEDIATE" : "RELEASE work");
      return null;
    }
  }

  #nextTurn(): Promise<void> {
    return new Promise((resolve) => this.#platform.soon(resolve));
  }

  #exec(sql: string): void {
    this.#statements.run(sql, []);
  }

  #rollback(): void {
    try {
      this.#exec("ROLLBACK");
    } catch {
      // SQLite rolls back by itself on a full disk or an I/O error; then there is nothing left to
      // roll back.
    }
  }
}
