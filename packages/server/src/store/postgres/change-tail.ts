import type { Client, ClientConfig } from "pg";
import { runIn, type Operation } from "../../observe/operation.ts";
import type { Platform, Timer } from "../../platform.ts";
import type { ChangeRecord, DatabaseState } from "../store.ts";
import { toChange } from "../answered-rows.ts";
import { BOUNDS, CHANNEL, READ, toBounds } from "./change-log.ts";
import { ListeningConnection } from "./channel/listening-connection.ts";
import { firstOf } from "./codec.ts";
import type { ConnectionPool } from "./pool.ts";

const TAIL: Operation = { requestId: null, where: "change log", span: null };

type Listener = (changes: readonly ChangeRecord[]) => void;

const PAGE = 1000;
/**
 * How often the log is looked at when nothing woke us: notifications can be lost, and poolers do
 * not carry them.
 */
const POLL_MS = 500;

/** What the tail needs, and who is told of it. */
export interface ChangeTailOptions {
  /** How the connection that listens is opened. */
  readonly connection: ClientConfig;
  readonly platform: Platform;
  /** Called once when the database is lost, and once when it is back. */
  readonly onState: (state: DatabaseState, error?: unknown) => void;
}

/**
 * Follows the change log: numbers what was committed, reads what is new, hands it on in order, each
 * change once.
 *
 * It runs when a transaction of this process commits, when another replica's numbering step says so
 * (LISTEN), and now and then anyway.
 */
export class ChangeTail {
  readonly #pool: ConnectionPool;
  readonly #options: ChangeTailOptions;
  readonly #listeners = new Set<Listener>();
  #position: number | null = null;
  /** The changes of a transaction that is being read. */
  #held: ChangeRecord[] = [];
  #heldXid: unknown = null;
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
      pulse: null,
      listen: (client) => this.#listen(client),
      // It polls until the next connection.
      onLost: () => undefined,
    });
  }

  /** Begins at the log's head. */
  async start(): Promise<void> {
    const [row] = await this.#pool.read(BOUNDS, []);
    this.#position = toBounds(firstOf(row === undefined ? [] : [row])).head;
    this.#poll = this.#options.platform.every(POLL_MS, () => this.wake()).unref();
    void this.#connection.run();
  }

  /** The database answers. */
  get isUp(): boolean {
    return this.#state === "back";
  }

  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** There may be something new. */
  wake(): void {
    void this.settle().then(
      () => this.#report("back"),
      (error: unknown) => this.#report("lost", error),
    );
  }

  /** Answers when everything that was committed before the call was handed on. */
  settle(): Promise<void> {
    if (this.#position === null || this.#isClosed) return Promise.resolve();
    if (this.#running !== null) {
      // What runs may have looked already: look once more after it.
      this.#isWanted = true;
      return this.#running;
    }
    // A commit woke it, and yet it works for all.
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
      // Two statements: a replica that freezes while it is sent many changes must not hold the lock
      // under which they are numbered.
      let isMore: boolean;
      do {
        const { head } = toBounds(firstOf(await this.#pool.read(BOUNDS, [])));
        isMore = head >= (this.#position ?? 0) + PAGE;
        await this.#readUpTo(head);
      } while (isMore);
    } while (this.#isWanted && !this.#isClosed);
  }

  async #readUpTo(head: number): Promise<void> {
    while ((this.#position ?? 0) < head) {
      const rows = await this.#pool.read(READ, [this.#position, PAGE]);
      if (rows.length === 0) return;
      for (const row of rows) {
        // The log is numbered by whole transactions, and read in pages.
        if (row["xid"] !== this.#heldXid) this.#handOn();
        this.#heldXid = row["xid"];
        const change = toChange(row);
        this.#held.push(change);
        this.#position = change.seq;
      }
    }
    this.#handOn();
  }

  #report(state: DatabaseState, error?: unknown): void {
    if (this.#isClosed || this.#state === state) return;
    this.#state = state;
    this.#options.onState(state, error);
  }

  /** Hands on the transaction that was read. */
  #handOn(): void {
    const changes = this.#held;
    if (changes.length === 0) return;
    this.#held = [];
    for (const listener of this.#listeners) listener(changes);
  }

  async #listen(client: Client): Promise<void> {
    client.on("notification", () => this.wake());
    await client.query(`LISTEN ${CHANNEL}`);
    this.wake();
  }
}
