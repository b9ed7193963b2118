import { hash } from "node:crypto";
import { PylonError } from "@pylonsync/protocol";
import type { ClientConfig } from "pg";
import { runIn, type Operation } from "../../../observe/operation.ts";
import type { Platform, Timer } from "../../../platform.ts";
import type { QueryObserver } from "../../../observe/query-observer.ts";
import { LinkLostError, type LinkState, type ReplicaLink, type Value } from "../../store.ts";
import type { ColumnRow } from "../connection.ts";
import { isStaleStatement, isUnreachable } from "../errors.ts";
import { SerialQueue } from "../../../util/serial-queue.ts";
import { ConnectionPool } from "../pool.ts";
import { PROBE_QUERY } from "./channel-functions.ts";
import { NotificationListener } from "./notification-listener.ts";

const PROBING: Operation = { requestId: null, where: "replica link", span: null };

/**
 * The number of connections for calls, in addition to the one for the empty key and the listening
 * one. They are opened when they are needed.
 */
const CONNECTIONS = 3;
/** The maximum time for the database to respond to a call, in milliseconds. */
const DEADLINE_MS = 2_000;
/** The maximum number of waiting calls per connection; more are rejected if `mayBeRefused`. */
const MAX_WAITING = 500;
/**
 * The interval of probes that test whether a message comes back, in milliseconds, and the number of
 * failed probes after which the state is `no-notifications`.
 */
const PROBE_MS = 250;
const MAX_PROBES = 20;
/** The number of intervals between two probes in that state. */
const PROBE_INTERVALS_WHEN_UNANSWERED = 20;
/** The prefix of probes: no other message begins with it. */
const PROBE = "probe ";

/**
 * The link over Postgres: calls run on a few connections, one after another on each, and NOTIFY
 * transports the messages.
 */
export class PostgresLink implements ReplicaLink {
  /** The connection for the empty key. */
  readonly #own: SerialConnection;
  readonly #connections: readonly SerialConnection[];
  readonly #listener: NotificationListener;
  readonly #listeners = new Set<(state: LinkState) => void>();
  readonly #messageListeners = new Set<(text: string) => void>();
  readonly #platform: Platform;
  readonly #probe: string;
  #state: LinkState = "lost";
  /** The number of probes sent since the link was lost, without receiving one. */
  #unansweredProbes = 0;
  #turns = 0;
  #probes = 0;
  #isProbing = false;
  #isClosed = false;
  #timer: Timer | null = null;

  /** @param observer notified of each statement */
  constructor(connection: ClientConfig, platform: Platform, observer: QueryObserver | null = null) {
    this.#platform = platform;
    this.#probe = `${PROBE}${platform.uuid()} `;
    const open = (): ConnectionPool =>
      new ConnectionPool({
        connection,
        platform,
        max: 1,
        deadlineMs: { connect: DEADLINE_MS, query: DEADLINE_MS },
        observer,
      });
    this.#own = new SerialConnection(open);
    this.#connections = Array.from({ length: CONNECTIONS }, () => new SerialConnection(open));
    this.#listener = new NotificationListener({
      connection,
      platform,
      onMessage: (text) => this.#received(text),
      onChange: (isListening) => {
        this.#reset();
        if (isListening) void this.#sendProbe();
      },
    });
  }

  get isUp(): boolean {
    return this.#state === "up" && !this.#isClosed;
  }

  async start(withinMs: number): Promise<void> {
    void runIn(PROBING, () => this.#listener.run());
    this.#timer = this.#platform.every(PROBE_MS, () => void this.#sendProbe()).unref();
    await this.#untilUp(withinMs);
  }

  onChange(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onMessage(listener: (text: string) => void): void {
    this.#messageListeners.add(listener);
  }

  async call(
    key: string,
    text: string,
    params: readonly Value[],
    mayBeRefused: boolean,
  ): Promise<ColumnRow[]> {
    const connection =
      key === ""
        ? this.#own
        : (this.#connections[hash("md5", key, "buffer").readUInt16BE(0) % CONNECTIONS] ??
          this.#own);
    if (!this.isUp) throw new LinkLostError("the database is unavailable");
    if (mayBeRefused && connection.waiting >= MAX_WAITING) {
      throw new PylonError("OVERLOADED", "Too many calls are waiting for the database.", {
        hint: "Nothing was changed. Try again.",
        extra: { retry_after_secs: 1 },
      });
    }
    return connection.run(async (pool) => {
      // This call may have waited for an earlier one while the database hung; then it fails without
      // a wait of its own.
      if (!this.isUp) throw new LinkLostError("the database is unavailable");
      try {
        return await once(pool, text, params);
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        this.#reset();
        throw new LinkLostError("the database does not respond", { cause: error });
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#listener.close();
    await Promise.all([this.#own, ...this.#connections].map((connection) => connection.close()));
  }

  /** Waits until the link is up, at most for this number of milliseconds. */
  #untilUp(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.isUp || withinMs <= 0) return resolve();
      const done = (): void => {
        stop();
        timer.cancel();
        resolve();
      };
      const stop = this.onChange((state) => {
        if (state === "up") done();
      });
      const timer = this.#platform.after(withinMs, done);
    });
  }

  #received(text: string): void {
    if (!text.startsWith(PROBE)) {
      if (this.isUp) for (const listener of this.#messageListeners) listener(text);
      return;
    }
    // Only the newest probe counts: one sent before a loss proves nothing after it.
    if (text === `${this.#probe}${this.#probes}` && this.#listener.isListening)
      this.#setState("up");
  }

  #reset(): void {
    this.#unansweredProbes = 0;
    this.#probes += 1;
    this.#setState("lost");
  }

  /** Sends a probe, which `#received` should receive. */
  async #sendProbe(): Promise<void> {
    if (this.isUp || this.#isProbing || this.#isClosed || !this.#listener.isListening) return;
    this.#turns += 1;
    if (this.#state === "no-notifications" && this.#turns % PROBE_INTERVALS_WHEN_UNANSWERED !== 0)
      return;
    this.#isProbing = true;
    try {
      await runIn(PROBING, () =>
        this.#own.run((pool) => once(pool, PROBE_QUERY, [`${this.#probe}${this.#probes}`], true)),
      );
      this.#unansweredProbes += 1;
      if (this.#unansweredProbes >= MAX_PROBES && !this.isUp) this.#setState("no-notifications");
    } catch {
      // The next interval tries again.
    } finally {
      this.#isProbing = false;
    }
  }

  #setState(state: LinkState): void {
    if (this.#isClosed || state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

/** One connection, on which calls run one after another. */
class SerialConnection {
  readonly #open: () => ConnectionPool;
  #pool: ConnectionPool | null = null;
  readonly #queue = new SerialQueue();
  waiting = 0;

  constructor(open: () => ConnectionPool) {
    this.#open = open;
  }

  async run<T>(work: (pool: ConnectionPool) => Promise<T>): Promise<T> {
    this.waiting += 1;
    try {
      return await this.#queue.run(() => work((this.#pool ??= this.#open())));
    } finally {
      this.waiting -= 1;
    }
  }

  async close(): Promise<void> {
    await this.#queue.settled();
    await this.#pool?.close();
  }
}

async function once(
  pool: ConnectionPool,
  text: string,
  params: readonly Value[],
  mustReturnRows = false,
): Promise<ColumnRow[]> {
  for (;;) {
    const lease = await pool.take("write");
    try {
      const { rows } = await pool.statements.run(lease.client, text, params);
      if (mustReturnRows && rows.length === 0) throw new LinkLostError("the database is read-only");
      lease.release();
      return rows;
    } catch (error) {
      // A connection to a read-only server may outlive a failover.
      const isLost = error instanceof LinkLostError || isUnreachable(error);
      lease.release(isLost || isStaleStatement(error));
      // Behind a pooler a prepared statement may be missing: then the call has not run.
      if (!pool.statements.names.learnFrom(error)) throw error;
    }
  }
}
