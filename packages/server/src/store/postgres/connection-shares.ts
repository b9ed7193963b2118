import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Cancellation } from "../../util/cancellation.ts";

/**
 * The purpose of a connection.
 *
 * - `read`: the server's own short reads, and rows by id
 * - `query`: reads whose cost depends on a caller
 * - `write`: transactions
 * - `blocked`: transactions that hit a lock of another replica, and are retried
 */
export type ShareName = "read" | "query" | "write" | "blocked";

interface Share {
  /** The number of connections that the other shares leave to this one. */
  readonly reserved: number;
  /** The maximum number of connections in use at the same time. */
  readonly max: number;
  /** The maximum number of connections that one caller may use at the same time. */
  readonly maxPerCaller: number;
}

interface Waiting {
  readonly caller: string;
  readonly grant: (release: () => void) => void;
}

/** The maximum number of requests waiting in one share; more are rejected. */
const MAX_WAITING = 5_000;
const NAMES: readonly ShareName[] = ["read", "write", "query", "blocked"];

/**
 * Divides the connections of a pool. A share may grow while no other share needs the connections,
 * but never into those that are reserved for another: regardless of how many requests wait for a
 * lock or a slow query, the others are served.
 */
export class ConnectionShares {
  readonly #platform: Platform;
  readonly #size: number;
  readonly #shares: Readonly<Record<ShareName, Share>>;
  /** Whether every connection is reserved: then `blocked` uses those of `write`. */
  readonly #isTight: boolean;
  readonly #queues: Readonly<Record<ShareName, Waiting[]>> = {
    read: [],
    query: [],
    write: [],
    blocked: [],
  };
  readonly #used: Record<ShareName, number> = { read: 0, query: 0, write: 0, blocked: 0 };
  /** By share and caller. */
  readonly #usedBy = new Map<string, number>();

  /** @param size the number of connections of the pool */
  constructor(size: number, platform: Platform) {
    this.#platform = platform;
    const reserved = (wanted: number): number => Math.min(wanted, Math.floor(size / 3));
    const forQueries = size - 2 * reserved(2);
    this.#size = size;
    this.#shares = {
      read: { reserved: reserved(2), max: size, maxPerCaller: size },
      write: { reserved: reserved(2), max: size, maxPerCaller: size },
      query: {
        reserved: reserved(1),
        max: size,
        maxPerCaller: Math.max(1, Math.floor(forQueries / 2)),
      },
      blocked: { reserved: 0, max: Math.max(1, Math.floor(size / 4)), maxPerCaller: size },
    };
    // If every connection is reserved, `blocked` would never get one: it uses those of the writes,
    // which are served first when one becomes free.
    const reservations = NAMES.reduce((sum, name) => sum + this.#shares[name].reserved, 0);
    this.#isTight = reservations >= size;
  }

  /** The number of waiting requests. */
  get waiting(): number {
    return NAMES.reduce((sum, name) => sum + this.waitingFor(name), 0);
  }

  /** The number of requests waiting in one share. */
  waitingFor(name: ShareName): number {
    return this.#queues[name].length;
  }

  /** Acquires the right to use a connection, if it is available without waiting; otherwise null. */
  tryAcquire(name: ShareName, caller: string): (() => void) | null {
    return this.#mayTake(name, caller) ? this.#take(name, caller) : null;
  }

  /**
   * Waits for the right to use a connection.
   *
   * @param caller the caller whose part of the share is used; empty: no particular caller
   * @param withinMs how long to wait, in milliseconds
   * @returns a function that releases the right
   * @throws PylonError OVERLOADED if none became free in time; the signal's reason
   */
  acquire(
    name: ShareName,
    caller: string,
    withinMs: number,
    signal?: Cancellation,
  ): Promise<() => void> {
    // A request that can be served does not queue: those in the queue are served when a connection
    // becomes free.
    const release = this.tryAcquire(name, caller);
    if (release !== null) return Promise.resolve(release);
    if (this.#queues[name].length >= MAX_WAITING) return Promise.reject(allInUse());
    return new Promise((resolve, reject) => {
      const queue = this.#queues[name];
      const settle = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const waiting: Waiting = {
        caller,
        grant: (release) => {
          settle();
          resolve(release);
        },
      };
      const leave = (reason: unknown): void => {
        settle();
        queue.splice(queue.indexOf(waiting), 1);
        reject(reason);
      };
      const onAbort = (): void => leave(signal?.reason);
      const timer = this.#platform.after(withinMs, () => leave(allInUse()));
      signal?.addEventListener("abort", onAbort, { once: true });
      queue.push(waiting);
    });
  }

  #mayTake(name: ShareName, caller: string): boolean {
    const share = this.#shares[name];
    if (this.#used[name] >= share.max) return false;
    if (caller !== "" && (this.#usedBy.get(`${name} ${caller}`) ?? 0) >= share.maxPerCaller)
      return false;
    let free = this.#size;
    for (const other of NAMES) {
      const used = this.#used[other];
      free -= other === name ? used : Math.max(used, this.#keptFor(other, name));
    }
    return free > 0;
  }

  /** The number of connections of a share that another one may not use. */
  #keptFor(name: ShareName, asking: ShareName): number {
    const { reserved } = this.#shares[name];
    if (name !== "write" || !this.#isTight) return reserved;
    return asking === "blocked" ? 0 : reserved - this.#used.blocked;
  }

  #take(name: ShareName, caller: string): () => void {
    this.#count(name, caller, 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#count(name, caller, -1);
      this.#serveWaiting();
    };
  }

  #count(name: ShareName, caller: string, by: 1 | -1): void {
    this.#used[name] += by;
    if (caller === "") return;
    const key = `${name} ${caller}`;
    const used = (this.#usedBy.get(key) ?? 0) + by;
    if (used === 0) this.#usedBy.delete(key);
    else this.#usedBy.set(key, used);
  }

  /**
   * Assigns free connections to waiting requests: round robin over the shares, and first come,
   * first served within a share.
   */
  #serveWaiting(): void {
    for (let hasServed = true; hasServed;) {
      hasServed = false;
      for (const name of NAMES) {
        const queue = this.#queues[name];
        const index = queue.findIndex(({ caller }) => this.#mayTake(name, caller));
        const [next] = index < 0 ? [] : queue.splice(index, 1);
        if (next === undefined) continue;
        next.grant(this.#take(name, next.caller));
        hasServed = true;
      }
    }
  }
}

function allInUse(): PylonError {
  return new PylonError("OVERLOADED", "All connections to the database are in use.", {
    hint: "Nothing was changed. Try again in a moment.",
    extra: { retry_after_secs: 1 },
  });
}
