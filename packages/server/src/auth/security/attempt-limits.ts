import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import { networkOf } from "../../request/network.ts";
import type { Store } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { KeyLock } from "./key-lock.ts";
import { keyOf } from "./secrets.ts";
import { fieldIsUpTo } from "./where.ts";

const TABLE = SYSTEM_TABLES.attempts.name;
const SINGLE_ROW = { isolation: "snapshot" } as const;
const FULL_MAX = 10_000;

/** How many attempts are allowed in how long. */
export interface AttemptLimit {
  readonly max: number;
  readonly windowSeconds: number;
}

/**
 * Counts attempts in the database, so that all replicas together let through no more than the
 * limit.
 */
export class AttemptLimits {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #lock = new KeyLock();
  /** Keys that are known to be full, and until when: they cost the database nothing more. */
  readonly #full = new Map<string, number>();

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * Counts one attempt, before it is made.
   *
   * @param kind what is tried, such as `password`
   * @param key by whom or on whom: an address, an account
   * @throws PylonError RATE_LIMITED with `retry_after_secs`
   */
  async count(kind: string, key: string, limit: AttemptLimit): Promise<void> {
    const id = keyOf(kind, key);
    this.#refuseFull(id);
    await this.#lock.run(id, async () => {
      this.#refuseFull(id);
      const fullUntil = await this.#store.transact(
        (tx) => this.#countOne(tx, id, limit),
        SINGLE_ROW,
      );
      if (fullUntil === null) return;
      if (this.#full.size >= FULL_MAX) this.#full.clear();
      this.#full.set(id, fullUntil);
      this.#refuseFull(id);
    });
  }

  /**
   * As `count`, by the address that a request comes from: all addresses that one client may have
   * are one.
   */
  countFrom(kind: string, address: string, limit: AttemptLimit): Promise<void> {
    return this.count(kind, networkOf(address), limit);
  }

  /** Starts the count anew, after a success. */
  async forget(kind: string, key: string): Promise<void> {
    const id = keyOf(kind, key);
    this.#full.delete(id);
    await this.#store.transact((tx) => tx.delete(TABLE, id), SINGLE_ROW);
  }

  /** Deletes the counts of windows that are over. */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, fieldIsUpTo("expiresAt", this.#platform.now())),
    );
  }

  /** @returns null when the attempt may be made, else when the window ends */
  async #countOne(
    tx: Parameters<Parameters<Store["transact"]>[0]>[0],
    id: string,
    { max, windowSeconds }: AttemptLimit,
  ): Promise<number | null> {
    const now = this.#platform.now();
    const expiresAt = new Date(now + windowSeconds * 1000).toISOString();
    const row = await tx.get(TABLE, id);
    if (row === null) {
      await tx.insert(TABLE, { id, count: 1, expiresAt });
      return null;
    }
    const until = Date.parse(row["expiresAt"] as string);
    if (until <= now) {
      await tx.update(TABLE, id, { count: 1, expiresAt });
      return null;
    }
    const count = row["count"] as number;
    if (count >= max) return until;
    await tx.update(TABLE, id, { count: count + 1 });
    return null;
  }

  #refuseFull(id: string): void {
    const until = this.#full.get(id);
    if (until === undefined) return;
    const leftMs = until - this.#platform.now();
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
