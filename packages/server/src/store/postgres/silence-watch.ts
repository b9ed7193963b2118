import { Client, type ClientBase, type ClientConfig } from "pg";
import type { Platform, Timer } from "../../platform.ts";

/** How long a statement may go unanswered before it is looked whether the server works on it. */
export const SILENCE_MS = 3_000;
/** Looks at statements in that time, and looks that must agree before a connection is given up. */
const LOOKS_IN_SILENCE = 3;
const LOOKS_THAT_AGREE = 2;
const LOOK_DEADLINE_MS = 2_000;
const LOOK = `SELECT pg_backend_pid() AS own, ARRAY(SELECT pid FROM pg_stat_activity
  WHERE pid = ANY($1::int[]) AND (state IS NULL OR state NOT LIKE 'idle%')) AS working`;

interface Running {
  readonly client: ClientBase;
  readonly startedAt: number;
  /** Turns of the timer that it has been running for. A process that stands still has none. */
  turns: number;
  /** Looks in a row that did not find the server at work on it. */
  idleLooks: number;
}

/**
 * Finds connections that a firewall, a failover or a lost host has made silent: nothing is refused
 * on them, and nothing is answered. The network alone would tell after minutes. A statement that
 * takes long is not a sign of it, so a second connection asks the server whether it works on it;
 * where it does not, the first one is closed, and what ran there is tried again on another.
 */
export class SilenceWatch {
  readonly #connection: ClientConfig;
  readonly #running = new Set<Running>();
  readonly #heardAt = new WeakMap<ClientBase, number>();
  readonly #platform: Platform;
  readonly #timer: Timer;
  /** A connection that was not heard since may be silent too. */
  #suspectBefore = -Infinity;
  #isLooking = false;

  /** @param silenceMs see SILENCE_MS, in milliseconds */
  constructor(connection: ClientConfig, silenceMs: number, platform: Platform) {
    this.#platform = platform;
    this.#connection = {
      ...connection,
      application_name: "pylon watch",
      connectionTimeoutMillis: LOOK_DEADLINE_MS,
      query_timeout: LOOK_DEADLINE_MS,
    };
    this.#timer = platform.every(silenceMs / LOOKS_IN_SILENCE, () => this.#turn()).unref();
  }

  /** Runs a statement on this connection, which is closed when it turns out to be silent. */
  async during<T>(client: ClientBase, run: () => Promise<T>): Promise<T> {
    const running = { client, startedAt: this.#platform.monotonic(), turns: 0, idleLooks: 0 };
    this.#running.add(running);
    try {
      const result = await run();
      this.#heardAt.set(client, this.#platform.monotonic());
      return result;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Whether this connection, on which nothing runs, was last heard before another went silent. */
  isSuspect(client: ClientBase): boolean {
    return (this.#heardAt.get(client) ?? Infinity) < this.#suspectBefore;
  }

  close(): void {
    this.#timer.cancel();
  }

  #turn(): void {
    const unanswered: Running[] = [];
    for (const running of this.#running)
      if ((running.turns += 1) >= LOOKS_IN_SILENCE) unanswered.push(running);
    if (unanswered.length === 0 || this.#isLooking) return;
    this.#isLooking = true;
    void this.#look(unanswered).finally(() => {
      this.#isLooking = false;
    });
  }

  async #look(unanswered: readonly Running[]): Promise<void> {
    const working = await this.#workingOf(unanswered.map(({ client }) => processOf(client)));
    if (working === null) return;
    for (const running of unanswered) {
      const isIdle = !working.has(processOf(running.client));
      running.idleLooks = isIdle ? running.idleLooks + 1 : 0;
      if (running.idleLooks < LOOKS_THAT_AGREE || !this.#running.has(running)) continue;
      this.#suspectBefore = Math.max(this.#suspectBefore, running.startedAt);
      // With a statement under way this closes the socket without a goodbye, and the statement
      // fails.
      if (running.client instanceof Client) void running.client.end().catch(() => undefined);
    }
  }

  /** @returns those that the server works for; null when it can't be known */
  async #workingOf(processes: readonly number[]): Promise<ReadonlySet<number> | null> {
    const client = new Client(this.#connection);
    client.on("error", () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ own: number; working: number[] }>(LOOK, [processes]);
      const [row] = rows;
      // A pooler shows numbers of its own, which say nothing about the server's.
      if (row === undefined || row.own !== processOf(client)) return null;
      return new Set(row.working);
    } catch {
      // The server can't be reached at all. It is looked again at the next turn.
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
