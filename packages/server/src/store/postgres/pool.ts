import { PylonError } from "@pylonsync/protocol";
import { Pool, type ClientBase, type PoolClient, type PoolConfig } from "pg";
import type { Platform } from "../../platform.ts";
import type { DatabaseAccess, Value } from "../store.ts";
import type { QueryObserver } from "../../observe/query-observer.ts";
import { cancelStatement } from "./cancel.ts";
import { StatementRunner, type ColumnRow } from "./connection.ts";
import { ConnectionShares, type ShareName } from "./connection-shares.ts";
import { ConnectFailure, isStaleStatement, isUnreachable, unavailable } from "./errors.ts";
import { MAX_QUICK_RETRIES, pause } from "./pause.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { Cancellation } from "../../util/cancellation.ts";

/** The connections of a pool, and the observer of their statements. */
export interface PoolOptions {
  readonly connection: PoolConfig;
  readonly platform: Platform;
  /** The maximum number of connections. */
  readonly max: number;
  /**
   * The maximum time to get a connection, and for the result of a statement, in milliseconds; 0: a
   * statement has no limit.
   */
  readonly deadlineMs?: { readonly connect: number; readonly query: number } | undefined;
  readonly observer?: QueryObserver | null | undefined;
  /** See SILENCE_MS, in milliseconds; absent: silent connections are not detected. */
  readonly silenceMs?: number | undefined;
}

/** A connection for exclusive use, until it is released. */
export interface Lease {
  readonly client: PoolClient;
  /** The error that the server sent when it closed the connection, if any. */
  readonly serverError: unknown;
  /**
   * Releases the connection.
   *
   * @param isBroken whether the connection must not be used again
   */
  release(isBroken?: boolean): void;
}

/** The caller for whom a connection is taken, and how long to wait for it. */
export interface TakeOptions {
  /** The caller whose part of the share is used; default: no particular caller. */
  readonly caller?: string | undefined;
  /** How long to wait for the connection, in milliseconds; default 5 s. */
  readonly withinMs?: number | undefined;
  readonly signal?: Cancellation | undefined;
}

/** The caller of a read, and its time limit. */
export interface ReadDeadline {
  readonly caller: string;
  readonly timeoutMs: number;
}

/**
 * How long a request waits for a free connection, or for the database to be available again, in
 * milliseconds.
 */
const RETRY_TIMEOUT_MS = 5_000;
/** Longer than the server's own limit (session-settings.ts), which ends the statement. */
const DEADLINE_MS = { connect: RETRY_TIMEOUT_MS, query: 65_000 };
const IDLE_MS = 30_000;
/**
 * Connections are renewed, so that after a failover or a change of addresses none leads to the old
 * server for long.
 */
const LIFETIME_S = 30 * 60;
const IS_READ_ONLY = "SELECT current_setting('transaction_read_only')::boolean AS is_read_only";
/** How long a statement may take to end after its cancellation was requested, in milliseconds. */
const CANCEL_MS = 2_500;

/**
 * The connections to one database. Broken ones are dropped, and work that may be repeated is
 * retried.
 */
export class ConnectionPool {
  readonly statements: StatementRunner;
  readonly #platform: Platform;
  readonly #pool: Pool;
  readonly #shares: ConnectionShares;
  readonly #connection: PoolConfig;
  readonly #serverErrors = new WeakMap<ClientBase, unknown>();
  readonly #watch: SilenceWatch | null;

  constructor({
    connection,
    platform,
    max,
    deadlineMs = DEADLINE_MS,
    observer = null,
    silenceMs,
  }: PoolOptions) {
    this.#platform = platform;
    this.#watch =
      silenceMs === undefined ? null : new SilenceWatch(connection, silenceMs, platform);
    this.statements = new StatementRunner(observer, this.#watch, platform);
    this.#connection = connection;
    this.#shares = new ConnectionShares(max, platform);
    this.#pool = new Pool({
      ...connection,
      max,
      connectionTimeoutMillis: deadlineMs.connect,
      idleTimeoutMillis: IDLE_MS,
      maxLifetimeSeconds: LIFETIME_S,
      ...(deadlineMs.query === 0 ? {} : { query_timeout: deadlineMs.query }),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: "pylon",
    });
    // The pool drops an idle connection that breaks: the next request opens another.
    this.#pool.on("error", () => undefined);
  }

  /**
   * Runs a read, and retries it on another connection if its own breaks.
   *
   * @throws PylonError OVERLOADED if the database can't be reached
   */
  async read(text: string, params: readonly Value[]): Promise<ColumnRow[]> {
    return this.again(async () => {
      const lease = await this.take("read");
      try {
        const { rows } = await this.statements.run(lease.client, text, params);
        lease.release();
        return rows;
      } catch (error) {
        lease.release(isUnreachable(error) || isStaleStatement(error));
        throw error;
      }
    });
  }

  /**
   * Runs a read on a connection from the caller's part of the share; the server ends it at its
   * deadline.
   *
   * @throws PylonError QUERY_TIMEOUT, OVERLOADED
   */
  readWithin(
    text: string,
    params: readonly Value[],
    { caller, timeoutMs }: ReadDeadline,
  ): Promise<ColumnRow[]> {
    return this.again(async () => {
      const lease = await this.take("query", { caller, withinMs: timeoutMs });
      try {
        const rows = await this.runWithin(lease.client, text, params, timeoutMs);
        lease.release();
        return rows;
      } catch (error) {
        lease.release(mustDrop(error));
        throw error;
      }
    });
  }

  /**
   * Runs one statement on this connection, and lets the server end it at its deadline.
   *
   * @throws PylonError QUERY_TIMEOUT, and errors of the server
   */
  async runWithin(
    client: ClientBase,
    text: string,
    params: readonly Value[],
    timeoutMs: number,
  ): Promise<ColumnRow[]> {
    const cancelled: Promise<void>[] = [];
    const timer = this.#platform.after(timeoutMs, () => cancelled.push(this.cancel(client)));
    try {
      return (await this.statements.run(client, text, params, timeoutMs + CANCEL_MS)).rows;
    } catch (error) {
      throw cancelled.length === 0 ? error : queryTimeout(timeoutMs, error);
    } finally {
      timer.cancel();
      await Promise.all(cancelled);
    }
  }

  /**
   * Requests the server to end the statement of this connection; resolves when the server has
   * processed the request.
   */
  cancel(client: ClientBase): Promise<void> {
    return cancelStatement(client, this.#connection);
  }

  /**
   * Sends a single query, without retries.
   *
   * @throws PylonError OVERLOADED if the database can't be reached
   */
  async probe(): Promise<DatabaseAccess> {
    try {
      const lease = await this.take("read");
      let isWritable = false;
      try {
        const { rows } = await this.statements.runPlain(lease.client, IS_READ_ONLY);
        isWritable = rows[0]?.["is_read_only"] === false;
        return isWritable ? "up" : "read-only";
      } finally {
        // After a failover the connection leads to the old server: the next probe opens another.
        lease.release(!isWritable);
      }
    } catch (error) {
      throw isUnreachable(error) ? unavailable(error) : error;
    }
  }

  /** Runs work that may be repeated, until the database responds or the time limit is reached. */
  async again<T>(work: () => Promise<T>): Promise<T> {
    const end = this.#platform.monotonic() + RETRY_TIMEOUT_MS;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (this.statements.names.learnFrom(error) || isStaleStatement(error)) {
          if (attempt < MAX_QUICK_RETRIES) continue;
        }
        if (!isUnreachable(error)) throw error;
        if (this.#platform.monotonic() > end) throw unavailable(error);
        await pause(this.#platform, attempt);
      }
    }
  }

  /**
   * Waits for a connection for exclusive use.
   *
   * @throws PylonError OVERLOADED if none became free in time; the signal's reason; the error of
   *   opening a connection
   */
  async take(share: ShareName, options: TakeOptions = {}): Promise<Lease> {
    const { caller = "", withinMs = RETRY_TIMEOUT_MS, signal } = options;
    const releaseShare =
      this.#shares.tryAcquire(share, caller) ??
      (await this.#shares.acquire(share, caller, withinMs, signal));
    try {
      const client = await this.#connect();
      const serverErrors = this.#serverErrors;
      // While the connection is in use, the pool has no listener on it: without a listener a broken
      // connection would end the process.
      if (client.listenerCount("error") === 0)
        client.on("error", (error) => serverErrors.set(client, error));
      return {
        client,
        get serverError() {
          return serverErrors.get(client);
        },
        release: (isBroken = false) => {
          client.release(isBroken);
          releaseShare();
        },
      };
    } catch (error) {
      releaseShare();
      throw error;
    }
  }

  /**
   * A connection without a response since another one became silent is replaced before it is used.
   */
  async #connect(): Promise<PoolClient> {
    for (;;) {
      const client = await this.#pool.connect().catch((cause: unknown) => {
        throw new ConnectFailure(cause);
      });
      if (this.#watch?.isSuspect(client) !== true) return client;
      client.release(true);
    }
  }

  /** The current connections, and the number of requests waiting for one. */
  stats(): { readonly open: number; readonly idle: number; readonly waiting: number } {
    const { totalCount: open, idleCount: idle } = this.#pool;
    return { open, idle, waiting: this.#shares.waiting };
  }

  /** The number of reads on behalf of callers that are waiting for a connection. */
  get waitingQueries(): number {
    return this.#shares.waitingFor("query");
  }

  close(): Promise<void> {
    this.#watch?.close();
    return this.#pool.end();
  }
}

/** Whether the connection must not be used again after this error. */
export function mustDrop(error: unknown): boolean {
  const cause = error instanceof PylonError ? error.cause : error;
  return cause !== undefined && (isUnreachable(cause) || isStaleStatement(cause));
}

function queryTimeout(timeoutMs: number, cause: unknown): PylonError {
  const error = new PylonError(
    "QUERY_TIMEOUT",
    `The query took longer than ${timeoutMs / 1000} s and was cancelled.`,
    { hint: "Filter by an indexed field, or read fewer rows." },
  );
  error.cause = cause;
  return error;
}
