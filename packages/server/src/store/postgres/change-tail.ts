import type { Client, ClientConfig } from "pg";
import { runIn, type Operation } from "../../observe/operation.ts";
import type { Platform, Timer } from "../../platform.ts";
import { PylonError } from "@pylonsync/protocol";
import type { ChangeRecord, DatabaseState } from "../store.ts";
import { toChange } from "../answered-rows.ts";
import { BOUNDS, CHANNEL, READ, toBounds } from "./change-log.ts";
import { ListeningConnection } from "./channel/listening-connection.ts";
import { firstOf } from "./codec.ts";
import { isReadOnly } from "./errors.ts";
import type { ConnectionPool } from "./pool.ts";

const TAIL: Operation = { requestId: null, where: "change log", span: null };

type Listener = (changes: readonly ChangeRecord[]) => void;

const PAGE = 1000;
/**
 * The interval at which the log is polled without a notification: notifications can be lost, and
 * poolers do not forward them.
 */
const POLL_MS = 500;

/** The dependencies of the tail. */
export interface ChangeTailOptions {
  /** The options of the listening connection. */
  readonly connection: ClientConfig;
  readonly platform: Platform;
  /** Called once when the database is lost, and once when it is back. */
  readonly onState: (state: DatabaseState, error?: unknown) => void;
}

/**
 * Follows the change log: numbers committed changes, reads new ones, and passes them on in order,
 * each exactly once.
 *
 * It runs when a transaction of this process commits, when the numbering step of another replica
 * notifies it (LISTEN), and periodically.
 */
export class ChangeTail {
  readonly #pool: ConnectionPool;
  readonly #options: ChangeTailOptions;
  readonly #listeners = new Set<Listener>();
  #position: number | null = null;
  /** The changes read so far of the current transaction. */
  #pending: ChangeRecord[] = [];
  #pendingXid: unknown = null;
  #running: Promise<void> | null = null;
  #isWanted = false;
  #isClosed = false;
  #state: DatabaseState = "back";
  #poll: Timer | null = null;
  readonly #connection: ListeningConnection;

  constructor(pool: ConnectionPool, options: ChangeTailOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#connection = new ListeningConnection({
      connection: options.connection,
      applicationName: "pylon listen",
      platform: options.platform,
      heartbeat: null,
      listen: (client) => this.#listen(client),
      // The log is polled until the next connection.
      onLost: () => undefined,
    });
  }

  /** Starts at the log's head. */
  async start(): Promise<void> {
    const [row] = await this.#pool.read(BOUNDS, []);
    this.#position = toBounds(firstOf(row === undefined ? [] : [row])).head;
    this.#poll = this.#options.platform.every(POLL_MS, () => this.wake()).unref();
    void this.#connection.run();
  }

  /** Whether the database is available. */
  get isUp(): boolean {
    return this.#state === "back";
  }

  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Checks for new changes. */
  wake(): void {
    void this.settle().then(
      () => this.#report("back"),
      (error: unknown) => {
        // The reason, such as a refused connection, is more useful than what callers are told.
        const reason = error instanceof PylonError ? (error.cause ?? error) : error;
        this.#report(isReadOnly(reason) ? "read-only" : "lost", reason);
      },
    );
  }

  /** Resolves when all changes committed before the call have been passed on. */
  settle(): Promise<void> {
    if (this.#position === null || this.#isClosed) return Promise.resolve();
    if (this.#running !== null) {
      // The current run may already have read the log: it must read again.
      this.#isWanted = true;
      return this.#running;
    }
    // A commit triggered it, but it runs on behalf of all.
    this.#running = runIn(TAIL, () => this.#run()).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#poll?.cancel();
    await this.#running?.catch(() => undefined);
    await this.#connection.close();
  }

  async #run(): Promise<void> {
    do {
      this.#isWanted = false;
      // Numbering and reading are two statements: a replica that freezes while it receives many
      // changes must not hold the lock under which they are numbered.
      let isMore: boolean;
      do {
        const { head } = toBounds(firstOf(await this.#pool.read(BOUNDS, [])));
        const from = this.#position ?? 0;
        await this.#readUpTo(head);
        // A renewed log has a higher head, but no changes before it.
        isMore = head >= from + PAGE && this.#position !== from;
      } while (isMore && !this.#isClosed);
    } while (this.#isWanted && !this.#isClosed);
  }

  async #readUpTo(head: number): Promise<void> {
    while ((this.#position ?? 0) < head) {
      const rows = await this.#pool.read(READ, [this.#position, PAGE]);
      if (rows.length === 0) return;
      for (const row of rows) {
        // The log is numbered in whole transactions, but read in pages.
        if (row["xid"] !== this.#pendingXid) this.#deliver();
        this.#pendingXid = row["xid"];
        const change = toChange(row);
        this.#pending.push(change);
        this.#position = change.seq;
      }
    }
    this.#deliver();
  }

  #report(state: DatabaseState, error?: unknown): void {
    if (this.#isClosed || this.#state === state) return;
    this.#state = state;
    this.#options.onState(state, error);
  }

  /** Passes on the changes of the transaction that was read. */
  #deliver(): void {
    const changes = this.#pending;
    if (changes.length === 0) return;
    this.#pending = [];
    for (const listener of this.#listeners) listener(changes);
  }

  async #listen(client: Client): Promise<void> {
    client.on("notification", () => this.wake());
    await client.query(`LISTEN ${CHANNEL}`);
    this.wake();
  }
}
