import type { Platform } from "../../platform.ts";
import type { Reader, Store, Transaction } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Encryption } from "../security/encryption.ts";
import { keyOf } from "../security/secrets.ts";
import type { OAuthProfile } from "./profile.ts";
import type { ProviderTokens } from "./provider-client.ts";

const ACCOUNTS = SYSTEM_TABLES.accounts;

/** A provider account that is to be stored. */
export interface NewAccount {
  readonly provider: string;
  readonly profile: OAuthProfile;
  readonly tokens: ProviderTokens;
}

/** A provider account that a user signs in with. */
export interface Account {
  readonly id: string;
  readonly provider: string;
  readonly userId: string;
  readonly email: string | null;
  /** When the provider's access token expires, in milliseconds since 1970. */
  readonly expiresAt: number | null;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/**
 * The accounts that users have at providers, and the encrypted tokens for the providers' APIs.
 * Without an encryption key no token is stored.
 */
export class Accounts {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #encryption: Encryption;

  constructor(store: Store, platform: Platform, encryption: Encryption) {
    this.#store = store;
    this.#platform = platform;
    this.#encryption = encryption;
  }

  /** Returns the account with this id at the provider, of any user. */
  find(provider: string, providerId: string): Promise<Account | null> {
    return ACCOUNTS.get(this.#store, keyOf(provider, providerId));
  }

  /** Returns the user's accounts, the newest first. */
  async list(userId: string, reader: Reader = this.#store): Promise<Account[]> {
    const rows = await ACCOUNTS.select(reader, { where: ACCOUNTS.is("userId", userId) });
    return rows.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  /** @throws PylonError ID_TAKEN when the account already belongs to a user */
  async insert(
    tx: Transaction,
    userId: string,
    { provider, profile, tokens }: NewAccount,
  ): Promise<void> {
    await ACCOUNTS.insert(tx, {
      id: keyOf(provider, profile.id),
      provider,
      providerId: profile.id,
      userId,
      email: profile.email ?? null,
      ...this.#sealed(tokens),
      createdAt: this.#platform.now(),
    });
  }

  /** Stores the email address and the tokens that the provider returned this time. */
  async renew({ provider, profile, tokens }: NewAccount): Promise<void> {
    const id = keyOf(provider, profile.id);
    // Many providers return a refresh token only the first time.
    const refreshToken = tokens.refreshToken ?? (await this.tokens(id))?.refreshToken ?? null;
    await transactById(this.#store, (tx) =>
      ACCOUNTS.update(tx, id, {
        email: profile.email ?? null,
        ...this.#sealed({ ...tokens, refreshToken }),
      }),
    );
  }

  /** Returns the stored tokens of the account, or null if there are none. */
  async tokens(id: string): Promise<ProviderTokens | null> {
    const sealed = (await ACCOUNTS.get(this.#store, id))?.tokens ?? null;
    return sealed === null || !this.#encryption.isOn
      ? null
      : JSON.parse(this.#encryption.open(sealed));
  }

  /** Replaces the stored tokens. */
  async keepTokens(id: string, tokens: ProviderTokens): Promise<void> {
    await transactById(this.#store, (tx) => ACCOUNTS.update(tx, id, this.#sealed(tokens)));
  }

  /** Deletes the account of a deleted user. */
  async forget(id: string): Promise<void> {
    await transactById(this.#store, (tx) => ACCOUNTS.delete(tx, id));
  }

  /** @param check runs in the same transaction; if it throws, the account stays linked */
  async unlink(id: string, check: (tx: Transaction) => Promise<void>): Promise<void> {
    await this.#store.transact(async (tx) => {
      await ACCOUNTS.delete(tx, id);
      await check(tx);
    });
  }

  /** Unlinks all accounts of the user. */
  async unlinkAll(userId: string): Promise<void> {
    await this.#store.transact((tx) => ACCOUNTS.deleteWhere(tx, ACCOUNTS.is("userId", userId)));
  }

  #sealed(tokens: ProviderTokens): {
    readonly tokens: string | null;
    readonly expiresAt: number | null;
  } {
    return {
      tokens: this.#encryption.isOn ? this.#encryption.seal(JSON.stringify(tokens)) : null,
      expiresAt: tokens.expiresAt,
    };
  }
}
