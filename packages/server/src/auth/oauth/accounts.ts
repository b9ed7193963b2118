import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Store, StoredRow, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Encryption } from "../security/encryption.ts";
import { keyOf } from "../security/secrets.ts";
import { fieldIs } from "../security/where.ts";
import type { OAuthProfile } from "./profile.ts";
import type { ProviderTokens } from "./provider-client.ts";

const TABLE = SYSTEM_TABLES.accounts.name;

/** An account elsewhere, as it is to be kept. */
export interface NewAccount {
  readonly provider: string;
  readonly profile: OAuthProfile;
  readonly tokens: ProviderTokens;
}

/** An account elsewhere that a user signs in with. */
export interface Account {
  readonly id: string;
  readonly provider: string;
  readonly userId: string;
  readonly email: string | null;
  /** When the provider's access token ends. */
  readonly expiresAt: string | null;
  readonly createdAt: string;
}

/**
 * The accounts that users have at providers, and the tokens for the providers' APIs, which are
 * sealed. Without a key for that no token is kept.
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

  async find(provider: string, providerId: string): Promise<Account | null> {
    const row = await this.#store.get(TABLE, keyOf(provider, providerId));
    return row === null ? null : toAccount(row);
  }

  /** The user's accounts, the newest first. */
  async list(userId: string): Promise<Account[]> {
    const rows = await this.#store.select({ entity: TABLE, where: fieldIs("userId", userId) });
    return rows.map(toAccount).sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  /** @throws PylonError ID_TAKEN when the account belongs to somebody already */
  async insert(
    tx: Transaction,
    userId: string,
    { provider, profile, tokens }: NewAccount,
  ): Promise<void> {
    await tx.insert(TABLE, {
      id: keyOf(provider, profile.id),
      provider,
      providerId: profile.id,
      userId,
      email: profile.email ?? null,
      ...this.#sealed(tokens),
      createdAt: new Date(this.#platform.now()).toISOString(),
    });
  }

  /** Keeps what the provider gave this time. */
  async renew({ provider, profile, tokens }: NewAccount): Promise<void> {
    const id = keyOf(provider, profile.id);
    // Many providers give a refresh token only the first time.
    const refreshToken = tokens.refreshToken ?? (await this.tokens(id))?.refreshToken ?? null;
    await this.#store.transact(
      (tx) =>
        tx.update(TABLE, id, {
          email: profile.email ?? null,
          ...this.#sealed({ ...tokens, refreshToken }),
        }),
      { isolation: "snapshot" },
    );
  }

  /** What the provider gave, or null where nothing was kept. */
  async tokens(id: string): Promise<ProviderTokens | null> {
    const sealed = (await this.#store.get(TABLE, id))?.["tokens"];
    if (typeof sealed !== "string" || !this.#encryption.isOn) return null;
    return JSON.parse(this.#encryption.open(sealed)) as ProviderTokens;
  }

  async keepTokens(id: string, tokens: ProviderTokens): Promise<void> {
    await this.#store.transact((tx) => tx.update(TABLE, id, this.#sealed(tokens)), {
      isolation: "snapshot",
    });
  }

  /** Forgets the account of a user who is gone. */
  async forget(id: string): Promise<void> {
    await this.#store.transact((tx) => tx.delete(TABLE, id), { isolation: "snapshot" });
  }

  /**
   * @param needed providers of which an account must stay; null where the user has another way to
   *   sign in
   * @throws PylonError LAST_SIGN_IN
   */
  async unlink(id: string, userId: string, needed: readonly string[] | null): Promise<void> {
    await this.#store.transact(async (tx) => {
      await tx.delete(TABLE, id);
      if (needed === null) return;
      const rest = await tx.select({ entity: TABLE, where: fieldIs("userId", userId) });
      if (rest.some((row) => needed.includes(row["provider"] as string))) return;
      throw new PylonError("LAST_SIGN_IN", "This is the only way to sign in to this user.", {
        hint: "Set a password, or link another account first.",
      });
    });
  }

  async unlinkAll(userId: string): Promise<void> {
    await this.#store.transact((tx) => tx.deleteWhere(TABLE, fieldIs("userId", userId)));
  }

  #sealed(tokens: ProviderTokens): {
    readonly tokens: string | null;
    readonly expiresAt: string | null;
  } {
    return {
      tokens: this.#encryption.isOn ? this.#encryption.seal(JSON.stringify(tokens)) : null,
      expiresAt: tokens.expiresAt === null ? null : new Date(tokens.expiresAt).toISOString(),
    };
  }
}

function toAccount(row: StoredRow): Account {
  return {
    id: row.id,
    provider: row["provider"] as string,
    userId: row["userId"] as string,
    email: row["email"] as string | null,
    expiresAt: row["expiresAt"] as string | null,
    createdAt: row["createdAt"] as string,
  };
}
