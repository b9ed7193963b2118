import { Pool, type ClientBase, type PoolClient, type PoolConfig } from "pg";
import type { Value } from "../store.ts";
import type { QueryObserver } from "../query-observer.ts";
import { StatementRunner, type ColumnRow } from "./connection.ts";
import { isStaleStatement, isUnreachable, unavailable } from "./errors.ts";

export interface PoolOptions {
  readonly connection: PoolConfig;
  /** Most connections. */
  readonly max: number;
  /** How long a connection may take to be had, and a statement to be answered, in milliseconds. */
  readonly deadlineMs?: { readonly connect: number; readonly query: number } | undefined;
  readonly observer?: QueryObserver | null | undefined;
}

/**
 * How long a request waits for a free connection, or for the database to come back, in
 * milliseconds.
 */
const PATIENCE_MS = 5_000;
const DEADLINE_MS = { connect: PATIENCE_MS, query: 60_000 };
const IDLE_MS = 30_000;
/**
 * Connections are renewed, so that after a failover or a change of addresses none leads to the old
 * server for long.
 */
const LIFETIME_S = 30 * 60;
const PAUSES_MS = [20, 50, 100, 200, 400];

/** The connections to one database. A broken one is dropped, and what can be asked again is. */
export class ConnectionPool {
  readonly statements: StatementRunner;
  readonly #pool: Pool;

  constructor({ connection, max, deadlineMs = DEADLINE_MS, observer = null }: PoolOptions) {
    this.statements = new StatementRunner(observer);
    this.#pool = new Pool({
      ...connection,
      max,
      connectionTimeoutMillis: deadlineMs.connect,
      idleTimeoutMillis: IDLE_MS,
      maxLifetimeSeconds: LIFETIME_S,
      query_timeout: deadlineMs.query,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: "pylon",
    });
    // An idle connection that breaks is dropped by the pool: the next request opens another.
    this.#pool.on("error", () => undefined);
  }

  /**
   * A read: asked again on another connection when its own breaks.
   *
   * @throws PylonError OVERLOADED when the database can't be reached
   */
  async read(text: string, params: readonly Value[]): Promise<ColumnRow[]> {
    return this.again(async () => {
      const client = await this.take();
      try {
        const { rows } = await this.statements.run(client, text, params);
        client.release();
        return rows;
      } catch (error) {
        client.release(isUnreachable(error) || isStaleStatement(error));
        throw error;
      }
    });
  }

  /**
   * Asks once, without patience.
   *
   * @throws PylonError OVERLOADED when the database can't be reached
   */
  async probe(): Promise<void> {
    try {
      await this.#pool.query("SELECT 1");
    } catch (error) {
      throw isUnreachable(error) ? unavailable() : error;
    }
  }

  /** Runs what may be run again until it meets a database that answers, or patience ends. */
  async again<T>(work: () => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (this.statements.names.learnFrom(error) || isStaleStatement(error)) {
          if (attempt < PAUSES_MS.length) continue;
        }
        if (!isUnreachable(error)) throw error;
        if (performance.now() > end) throw unavailable();
        await pause(attempt);
      }
    }
  }

  /**
   * A connection of one's own; give it back with `release`, with true when it is not to be used
   * again.
   */
  async take(): Promise<PoolClient> {
    const client = await this.#pool.connect();
    // While it is out, the pool does not listen: without a listener a broken connection would end
    // the process.
    if (client.listenerCount("error") === 0) client.on("error", ignore);
    return client;
  }

  /** Connections now, and requests that wait for one. */
  figures(): { readonly open: number; readonly idle: number; readonly waiting: number } {
    const { totalCount: open, idleCount: idle, waitingCount: waiting } = this.#pool;
    return { open, idle, waiting };
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** Waits a moment, longer each time, and never exactly as long as others who wait for the same. */
export function pause(attempt: number): Promise<void> {
  const longest = PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0;
  return new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
}

/** Runs several statements without parameters as one message. */
export async function runAll(client: ClientBase, ...statements: readonly string[]): Promise<void> {
  await client.query(statements.join("; "));
}

function ignore(): void {}
