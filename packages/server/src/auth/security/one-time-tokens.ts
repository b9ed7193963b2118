import type { Platform } from "../../platform.ts";
import type { Store } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { keyOf, newToken } from "./secrets.ts";
import { fieldIsUpTo } from "./where.ts";

const TABLE = SYSTEM_TABLES.oneTimeTokens.name;
const SINGLE_ROW = { isolation: "snapshot" } as const;

/**
 * Secrets that open one thing once: a magic link, a reset, the state of an OAuth sign-in. They live
 * in the store, by their hash.
 */
export class OneTimeTokens {
  readonly #store: Store;
  readonly #platform: Platform;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * @param purpose what it opens; a token of one purpose is unknown to any other
   * @param data JSON that comes back with it
   * @param lifetimeMs milliseconds
   */
  async issue(purpose: string, data: unknown, lifetimeMs: number): Promise<string> {
    const token = newToken(this.#platform);
    const expiresAt = new Date(this.#platform.now() + lifetimeMs).toISOString();
    await this.#store.transact(
      (tx) =>
        tx.insert(TABLE, { id: keyOf(purpose, token), data: JSON.stringify(data), expiresAt }),
      SINGLE_ROW,
    );
    return token;
  }

  /** What the token carries, or null when it is unknown, used or too old. */
  async peek(purpose: string, token: string): Promise<unknown> {
    const row = await this.#store.get(TABLE, keyOf(purpose, token));
    return row === null || Date.parse(row["expiresAt"] as string) <= this.#platform.now()
      ? null
      : (JSON.parse(row["data"] as string) as unknown);
  }

  /** As `peek`, and uses it up: of all callers on all replicas one gets it. */
  async take(purpose: string, token: string): Promise<unknown> {
    const data = await this.peek(purpose, token);
    if (data === null) return null;
    const isMine = await this.#store.transact(
      (tx) => tx.delete(TABLE, keyOf(purpose, token)),
      SINGLE_ROW,
    );
    return isMine ? data : null;
  }

  /** Deletes what is too old. */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, fieldIsUpTo("expiresAt", this.#platform.now())),
    );
  }
}
