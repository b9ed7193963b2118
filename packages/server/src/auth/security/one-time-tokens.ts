import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { keyOf, newToken } from "./secrets.ts";

const TOKENS = SYSTEM_TABLES.oneTimeTokens;

/** The purpose of a kind of token. A token of one purpose is unknown for any other. */
export interface TokenPurpose<T> {
  readonly name: string;
  /** Only for type inference: the data of such a token. */
  readonly carries?: (data: T) => void;
}

/**
 * Names a kind of token.
 *
 * @typeParam T its data, which must be JSON
 */
export function tokenPurpose<T>(name: string): TokenPurpose<T> {
  return { name };
}

/**
 * Secrets that are used once: a magic link, a password reset, the state of an OAuth sign-in. The
 * store contains only their hashes.
 */
export class OneTimeTokens {
  readonly #store: Store;
  readonly #platform: Platform;

  constructor(store: Store, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /**
   * @param data is returned when the token is used
   * @param lifetimeMs milliseconds
   * @param also runs in the same transaction, which may be retried: it adds the mail with the token
   * @returns the token, which is not stored
   */
  async issue<T>(
    purpose: TokenPurpose<T>,
    data: T,
    lifetimeMs: number,
    also: (tx: Transaction, token: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<string> {
    const token = newToken(this.#platform);
    const row = {
      id: keyOf(purpose.name, token),
      data,
      expiresAt: this.#platform.now() + lifetimeMs,
    };
    await transactById(this.#store, async (tx) => {
      await TOKENS.insert(tx, row);
      await also(tx, token);
    });
    return token;
  }

  /** Returns the token's data, or null if it is unknown, used or expired. */
  async peek<T>(purpose: TokenPurpose<T>, token: string): Promise<T | null> {
    const row = await TOKENS.get(this.#store, keyOf(purpose.name, token));
    // The purpose is part of the id, so a row that is found was issued with data of its type.
    return row === null || row.expiresAt <= this.#platform.now() ? null : (row.data as T);
  }

  /** Like `peek`, and consumes the token: of all callers on all replicas, one gets the data. */
  async take<T>(purpose: TokenPurpose<T>, token: string): Promise<T | null> {
    const data = await this.peek(purpose, token);
    if (data === null) return null;
    const isMine = await transactById(this.#store, (tx) =>
      TOKENS.delete(tx, keyOf(purpose.name, token)),
    );
    return isMine ? data : null;
  }

  /** Deletes expired tokens. @returns the number of deleted tokens */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      TOKENS.deleteWhere(tx, TOKENS.isUpTo("expiresAt", this.#platform.now())),
    );
  }
}
