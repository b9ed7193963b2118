import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { keyOf, newToken } from "./secrets.ts";

const TOKENS = SYSTEM_TABLES.oneTimeTokens;

/** What a kind of token opens. A token of one purpose is unknown to any other. */
export interface TokenPurpose<T> {
  readonly name: string;
  /** Only for the type: what such a token carries. */
  readonly carries?: (data: T) => void;
}

/**
 * Names a kind of token.
 *
 * @typeParam T what it carries, of what JSON can say
 */
export function tokenPurpose<T>(name: string): TokenPurpose<T> {
  return { name };
}

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
   * @param data comes back with it
   * @param lifetimeMs milliseconds
   * @param also writes with it in its transaction, which may run again: the mail with the token
   * @returns the token, which is stored nowhere
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

  /** What the token carries, or null when it is unknown, used or too old. */
  async peek<T>(purpose: TokenPurpose<T>, token: string): Promise<T | null> {
    const row = await TOKENS.get(this.#store, keyOf(purpose.name, token));
    // The purpose is part of the id: what is found was issued with data of its type.
    return row === null || row.expiresAt <= this.#platform.now() ? null : (row.data as T);
  }

  /** As `peek`, and uses it up: of all callers on all replicas one gets it. */
  async take<T>(purpose: TokenPurpose<T>, token: string): Promise<T | null> {
    const data = await this.peek(purpose, token);
    if (data === null) return null;
    const isMine = await transactById(this.#store, (tx) =>
      TOKENS.delete(tx, keyOf(purpose.name, token)),
    );
    return isMine ? data : null;
  }

  /** Deletes what is too old. @returns how many */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      TOKENS.deleteWhere(tx, TOKENS.isUpTo("expiresAt", this.#platform.now())),
    );
  }
}
