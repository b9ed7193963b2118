import { SerialQueue } from "../../util/serial-queue.ts";
import type { Value } from "../store.ts";
import type { ColumnRow } from "./connection.ts";
import { mustDrop, type ConnectionPool, type Lease, type ReadDeadline } from "./pool.ts";

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/**
 * Reads that all see the database as of the first of them. The first read takes the connection, and
 * `end()` releases it.
 */
export class PostgresSnapshot {
  readonly #pool: ConnectionPool;
  readonly #settings: readonly string[];
  readonly #deadline: ReadDeadline;
  /** Concurrent reads share the connection, one after another. */
  readonly #queue = new SerialQueue();
  #lease: Lease | null = null;
  #isRunning = false;
  #isBroken = false;
  #hasEnded = false;

  /** @param settings the statements that set the transaction's settings */
  constructor(pool: ConnectionPool, settings: readonly string[], deadline: ReadDeadline) {
    this.#pool = pool;
    this.#settings = settings;
    this.#deadline = deadline;
  }

  /** @throws PylonError QUERY_TIMEOUT, OVERLOADED */
  run(text: string, params: readonly Value[]): Promise<ColumnRow[]> {
    return this.#queue.run(() => this.#run(text, params));
  }

  /** Releases the connection, after its running statement has ended. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    if (this.#isRunning && this.#lease !== null) await this.#pool.cancel(this.#lease.client);
    await this.#queue.settled();
    const lease = this.#lease;
    this.#lease = null;
    if (lease === null) return;
    try {
      if (!this.#isBroken) await this.#pool.statements.runPlain(lease.client, "COMMIT");
      lease.release(this.#isBroken);
    } catch {
      lease.release(true);
    }
  }

  async #run(text: string, params: readonly Value[]): Promise<ColumnRow[]> {
    const lease = (this.#lease ??= await this.#begin());
    if (this.#hasEnded)
      throw new Error("The query has ended: await every read before the handler returns.");
    this.#isRunning = true;
    try {
      return await this.#pool.runWithin(lease.client, text, params, this.#deadline.timeoutMs);
    } catch (error) {
      this.#isBroken ||= mustDrop(error);
      throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  #begin(): Promise<Lease> {
    const { caller, timeoutMs } = this.#deadline;
    return this.#pool.again(async () => {
      const lease = await this.#pool.take("query", { caller, withinMs: timeoutMs });
      try {
        await this.#pool.statements.runAll(lease.client, BEGIN, ...this.#settings);
        return lease;
      } catch (error) {
        lease.release(true);
        throw error;
      }
    });
  }
}
