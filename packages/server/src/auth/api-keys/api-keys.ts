import { createIdFactory, MAX_API_KEYS, PylonError } from "@pylonsync/protocol";
import { and, type Claims, type Expr } from "@pylonsync/query";
import {
  ANONYMOUS,
  type Caller,
  type Identity,
  type SessionStatus,
} from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { isoTime, isoTimeOrNull, transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { TokenKind } from "../sessions/authenticator.ts";
import { hashOf, isSameHash, newToken } from "../security/secrets.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { IdentityCache } from "../sessions/identity-cache.ts";
import { userClaims } from "../users/user-claims.ts";

const KEYS = SYSTEM_TABLES.apiKeys;
const PREFIX = "pk.";
/**
 * As for sessions: the maximum time for which a key is accepted after another replica ended it, in
 * milliseconds.
 */
const CACHE_TTL_MS = 500;
/** The minimum time between two updates of a key's last use, in milliseconds. */
const USED_EVERY_MS = 60_000;

/** The part of an API key that its owner sees: never the key itself. */
export interface ApiKeyInfo {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly used_at: string | null;
}

/**
 * API keys for programs: `pk.<id>.<secret>`. A key acts as the user that created it, within its
 * scopes.
 */
export class ApiKeys implements TokenKind {
  readonly #store: Store;
  readonly #sessions: Sessions;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #endListeners = new Set<(keyId: string) => void>();
  /** By the hash of the whole key. */
  readonly #identityCache: IdentityCache;
  /** Grows whenever a key is ended or changed: a row that was read before is not cached. */
  #cacheGeneration = 0;

  constructor(store: Store, sessions: Sessions, platform: Platform) {
    this.#store = store;
    this.#sessions = sessions;
    this.#platform = platform;
    this.#identityCache = new IdentityCache(platform);
    this.#newId = createIdFactory(platform.now, platform.random);
    store.follow((changes) => {
      for (const { entity, kind, rowId } of changes)
        if (entity === KEYS.name && kind === "delete") this.#ended(rowId);
    });
    sessions.onUserChange((userId) => this.#forget((caller) => caller.userId === userId));
  }

  matches(token: string): boolean {
    return token.startsWith(PREFIX);
  }

  /** @throws PylonError UNAUTHORIZED */
  async identify(key: string): Promise<Identity> {
    const now = this.#platform.now();
    const hash = hashOf(key);
    const identity = this.#identityCache.get(hash) ?? (await this.#lookUp(key, hash, now));
    if (identity === null || identity.expiresAt <= now)
      throw new PylonError("UNAUTHORIZED", "This API key is unknown, expired or revoked.", {
        hint: "Create another key.",
      });
    return identity;
  }

  /**
   * Creates a key of the session's user, with the tenant, the roles and the claims of the session.
   *
   * @param options.expiresAt milliseconds since 1970; null: never
   * @returns the key, which is shown only once
   * @throws PylonError UNAUTHORIZED when the session has ended in the meantime, CONFLICT when the
   *   user has MAX_API_KEYS
   */
  async create(
    sessionId: string,
    options: {
      readonly name: string;
      readonly scopes: readonly string[];
      readonly expiresAt: number | null;
    },
  ): Promise<{ readonly key: string; readonly info: ApiKeyInfo }> {
    const id = this.#newId();
    const secret = newToken(this.#platform);
    const row = await this.#store.transact(async (tx) => {
      const { userId, tenantId, roles, claims } = await this.#sessions.requireActive(tx, sessionId);
      if ((await KEYS.count(tx, KEYS.is("userId", userId))) >= MAX_API_KEYS)
        throw new PylonError(
          "CONFLICT",
          `You have reached the maximum of ${MAX_API_KEYS} API keys.`,
          {
            hint: "Delete some.",
          },
        );
      const made: RowOf<typeof KEYS> = {
        id,
        userId,
        tenantId,
        roles,
        name: options.name,
        hash: hashOf(secret),
        scopes: options.scopes,
        createdAt: this.#platform.now(),
        expiresAt: options.expiresAt,
        usedAt: null,
        claims,
      };
      await KEYS.insert(tx, made);
      return made;
    });
    return { key: `${PREFIX}${id}.${secret}`, info: toInfo(row) };
  }

  /** Returns the status of the key with which this caller was identified. */
  async sessionStatus(keyId: string, { claims }: Caller): Promise<SessionStatus> {
    const row = await KEYS.get(this.#store, keyId);
    if (row === null) return "revoked";
    const now = await this.#claimsOf(row);
    return JSON.stringify(now) === JSON.stringify(claims) ? "valid" : "changed";
  }

  /** Returns the user's keys, the newest first. */
  async list(userId: string): Promise<ApiKeyInfo[]> {
    const rows = await KEYS.select(this.#store, {
      where: KEYS.is("userId", userId),
      order: [{ field: "id", direction: "desc" }],
    });
    return rows.map(toInfo);
  }

  /**
   * Ends a key of this user, on all replicas and with its connections.
   *
   * @returns whether it existed
   */
  async end(userId: string, keyId: string): Promise<boolean> {
    const isThere = await transactById(this.#store, async (tx) => {
      if ((await KEYS.get(tx, keyId))?.userId !== userId) return false;
      await this.#delete(tx, keyId);
      return true;
    });
    if (isThere) this.#ended(keyId);
    return isThere;
  }

  /** Ends the user's keys: all of them, or those of one tenant. */
  async endAll(userId: string, tenantId?: string): Promise<void> {
    const where = keysOf(userId, tenantId);
    for (const { id } of await KEYS.select(this.#store, { where })) await this.end(userId, id);
  }

  /**
   * Like `endAll`, within the transaction that deletes the user or its membership in the tenant:
   * the change log notifies this replica too.
   */
  async revokeAll(tx: Transaction, userId: string, tenantId?: string): Promise<void> {
    for (const { id } of await KEYS.select(tx, { where: keysOf(userId, tenantId) }))
      await this.#delete(tx, id);
  }

  /** Calls `listener` when a key is ended. @returns an unsubscribe function */
  onEnd(listener: (keyId: string) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Drops what is cached of keys that are not used any longer. */
  forgetExpired(): void {
    this.#identityCache.forgetExpired();
  }

  async #delete(tx: Transaction, keyId: string): Promise<void> {
    await KEYS.delete(tx, keyId);
    await KEYS.announce(tx, keyId, "delete", this.#platform.now());
  }

  #ended(keyId: string): void {
    this.#forget(({ apiKeyId }) => apiKeyId === keyId);
    for (const listener of this.#endListeners) listener(keyId);
  }

  #forget(isMeant: (caller: Caller) => boolean): void {
    this.#cacheGeneration += 1;
    this.#identityCache.deleteWhere(isMeant);
  }

  /** The user's claims override those that the key was created with. */
  async #claimsOf({ userId, claims }: RowOf<typeof KEYS>): Promise<Claims> {
    return { ...claims, ...(await userClaims(this.#store, userId)) };
  }

  async #lookUp(key: string, hash: string, now: number): Promise<Identity | null> {
    const generation = this.#cacheGeneration;
    const readAt = this.#platform.monotonic();
    const [, id = "", secret = ""] = key.split(".");
    const row = id === "" ? null : await KEYS.get(this.#store, id);
    if (row === null || !isSameHash(row.hash, hashOf(secret))) return null;
    if (row.usedAt === null || now - row.usedAt >= USED_EVERY_MS)
      await transactById(this.#store, (tx) => KEYS.update(tx, id, { usedAt: now }));
    const caller: Caller = {
      ...ANONYMOUS,
      userId: row.userId,
      tenantId: row.tenantId,
      roles: row.roles,
      apiKeyId: id,
      apiKeyScopes: row.scopes,
      claims: await this.#claimsOf(row),
    };
    const identity: Identity = {
      caller,
      sessionId: null,
      expiresAt: row.expiresAt ?? Infinity,
    };
    if (this.#cacheGeneration !== generation) return identity;
    this.#identityCache.set(hash, identity, readAt + CACHE_TTL_MS);
    return identity;
  }
}

function keysOf(userId: string, tenantId: string | undefined): Expr {
  const ofUser = KEYS.is("userId", userId);
  return tenantId === undefined ? ofUser : and(ofUser, KEYS.is("tenantId", tenantId));
}

function toInfo(row: RowOf<typeof KEYS>): ApiKeyInfo {
  return {
    id: row.id,
    name: row.name,
    scopes: row.scopes,
    created_at: isoTime(row.createdAt),
    expires_at: isoTimeOrNull(row.expiresAt),
    used_at: isoTimeOrNull(row.usedAt),
  };
}
