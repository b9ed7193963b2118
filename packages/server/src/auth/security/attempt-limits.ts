import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import { networkOf } from "../../util/network.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { KeyLock } from "./key-lock.ts";
import { keyOf } from "./secrets.ts";

const ATTEMPTS = SYSTEM_TABLES.attempts;
const MAX_FULL = 10_000;

/** The number of attempts allowed per time window. */
export interface AttemptLimit {
  readonly max: number;
  readonly windowSeconds: number;
}

/** Counts attempts in the database, so that all replicas together allow no more than the limit. */
export class AttemptLimits {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #lock = new KeyLock();
  /**
   * Keys that have reached their limit, and until when by the monotonic clock: they cause no more
   * database queries.
   */
  readonly #full = new Map<string, number>();

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * Counts one attempt, before it is made.
   *
   * @param kind the kind of attempt, such as `password`
   * @param key who makes it or whom it concerns: an address, an account
   * @throws PylonError RATE_LIMITED with `retry_after_secs`
   */
  async count(kind: string, key: string, limit: AttemptLimit): Promise<void> {
    const id = keyOf(kind, key);
    this.#refuseFull(id);
    await this.#lock.run(id, async () => {
      this.#refuseFull(id);
      const leftMs = await transactById(this.#store, (tx) => this.#countOne(tx, id, limit));
      if (leftMs === null) return;
      if (this.#full.size >= MAX_FULL) this.#full.clear();
      this.#full.set(id, this.#platform.monotonic() + leftMs);
      this.#refuseFull(id);
    });
  }

  /**
   * Like `count`, by the address that a request comes from: all addresses that one client may have
   * count as one.
   */
  countFrom(kind: string, address: string, limit: AttemptLimit): Promise<void> {
    return this.count(kind, networkOf(address), limit);
  }

  /** Resets the count, after a success. */
  async forget(kind: string, key: string): Promise<void> {
    const id = keyOf(kind, key);
    this.#full.delete(id);
    await transactById(this.#store, (tx) => ATTEMPTS.delete(tx, id));
  }

  /** Deletes the counts of expired windows. */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      ATTEMPTS.deleteWhere(tx, ATTEMPTS.isUpTo("expiresAt", this.#platform.now())),
    );
  }

  /** @returns null when the attempt may be made, otherwise the time to the end of the window */
  async #countOne(
    tx: Transaction,
    id: string,
    { max, windowSeconds }: AttemptLimit,
  ): Promise<number | null> {
    const now = this.#platform.now();
    const windowMs = windowSeconds * 1000;
    const expiresAt = now + windowMs;
    const row = await ATTEMPTS.get(tx, id);
    if (row === null) {
      await ATTEMPTS.insert(tx, { id, count: 1, expiresAt });
      return null;
    }
    // A window that ends much later began before the clock was set back. Clocks of replicas differ
    // by less.
    if (row.expiresAt <= now || row.expiresAt > expiresAt + windowMs) {
      await ATTEMPTS.update(tx, id, { count: 1, expiresAt });
      return null;
    }
    if (row.count >= max) return row.expiresAt - now;
    await ATTEMPTS.update(tx, id, { count: row.count + 1 });
    return null;
  }

  #refuseFull(id: string): void {
    const until = this.#full.get(id);
    if (until === undefined) return;
    const leftMs = until - this.#platform.monotonic();
    if (leftMs <= 0) {
      this.#full.delete(id);
      return;
    }
    const seconds = Math.ceil(leftMs / 1000);
    throw new PylonError("RATE_LIMITED", "Too many attempts.", {
      hint: `Try again in ${seconds} s.`,
      extra: { retry_after_secs: seconds },
    });
  }
}
