import { Client, type ClientBase, type ClientConfig } from "pg";
import type { Platform, Timer } from "../../platform.ts";

/**
 * The time without a response after which a statement is checked: does the server still work on it?
 */
export const SILENCE_MS = 3_000;
/**
 * The number of checks of statements in that time, and the number of consecutive checks with the
 * same result before a connection is closed.
 */
const CHECKS_PER_SILENCE = 3;
const MIN_IDLE_CHECKS = 2;
const CHECK_TIMEOUT_MS = 2_000;
const CHECK_QUERY = `SELECT pg_backend_pid() AS own, ARRAY(SELECT pid FROM pg_stat_activity
  WHERE pid = ANY($1::int[]) AND (state IS NULL OR state NOT LIKE 'idle%')) AS working`;

interface Running {
  readonly client: ClientBase;
  readonly startedAt: number;
  /**
   * The number of timer intervals during which it has been running. A process that is stopped has
   * none.
   */
  intervals: number;
  /** The number of consecutive checks in which the server was not working on it. */
  idleChecks: number;
}

/**
 * Detects connections that became silent because of a firewall, a failover or a lost host: there
 * are neither errors nor responses on them. The network alone would report that only after minutes.
 * A slow statement is not a sign of it, so a second connection queries whether the server is
 * working on it; if not, the first connection is closed, and its work is retried on another.
 */
export class SilenceWatch {
  readonly #connection: ClientConfig;
  readonly #running = new Set<Running>();
  readonly #respondedAt = new WeakMap<ClientBase, number>();
  readonly #platform: Platform;
  readonly #timer: Timer;
  /** A connection without a response since this time may be silent, too. */
  #suspectSince = -Infinity;
  #isChecking = false;

  /** @param silenceMs see SILENCE_MS, in milliseconds */
  constructor(connection: ClientConfig, silenceMs: number, platform: Platform) {
    this.#platform = platform;
    this.#connection = {
      ...connection,
      application_name: "pylon watch",
      connectionTimeoutMillis: CHECK_TIMEOUT_MS,
      query_timeout: CHECK_TIMEOUT_MS,
    };
    this.#timer = platform.every(silenceMs / CHECKS_PER_SILENCE, () => this.#onInterval()).unref();
  }

  /** Runs a statement on this connection, which is closed if it turns out to be silent. */
  async during<T>(client: ClientBase, run: () => Promise<T>): Promise<T> {
    const running = { client, startedAt: this.#platform.monotonic(), intervals: 0, idleChecks: 0 };
    this.#running.add(running);
    try {
      const result = await run();
      this.#respondedAt.set(client, this.#platform.monotonic());
      return result;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Whether the last response on this idle connection was before another one became silent. */
  isSuspect(client: ClientBase): boolean {
    return (this.#respondedAt.get(client) ?? Infinity) < this.#suspectSince;
  }

  close(): void {
    this.#timer.cancel();
  }

  #onInterval(): void {
    const unanswered: Running[] = [];
    for (const running of this.#running)
      if ((running.intervals += 1) >= CHECKS_PER_SILENCE) unanswered.push(running);
    if (unanswered.length === 0 || this.#isChecking) return;
    this.#isChecking = true;
    void this.#check(unanswered).finally(() => {
      this.#isChecking = false;
    });
  }

  async #check(unanswered: readonly Running[]): Promise<void> {
    const working = await this.#workingOf(unanswered.map(({ client }) => processOf(client)));
    if (working === null) return;
    for (const running of unanswered) {
      const isIdle = !working.has(processOf(running.client));
      running.idleChecks = isIdle ? running.idleChecks + 1 : 0;
      if (running.idleChecks < MIN_IDLE_CHECKS || !this.#running.has(running)) continue;
      this.#suspectSince = Math.max(this.#suspectSince, running.startedAt);
      // While a statement is running, this closes the socket without a terminate message, and the
      // statement fails.
      if (running.client instanceof Client) void running.client.end().catch(() => undefined);
    }
  }

  /** @returns the processes that are running a statement; null if that can't be determined */
  async #workingOf(processes: readonly number[]): Promise<ReadonlySet<number> | null> {
    const client = new Client(this.#connection);
    client.on("error", () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ own: number; working: number[] }>(CHECK_QUERY, [
        processes,
      ]);
      const [row] = rows;
      // A pooler returns its own process ids, which do not identify the server's processes.
      if (row === undefined || row.own !== processOf(client)) return null;
      return new Set(row.working);
    } catch {
      // The server can't be reached at all. The next interval checks again.
      return null;
    } finally {
      void client.end().catch(() => undefined);
    }
  }
}

function processOf(client: ClientBase): number {
  const processID = "processID" in client ? client.processID : undefined;
  return typeof processID === "number" ? processID : 0;
}
