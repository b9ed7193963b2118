import { createIdFactory, PylonError } from "@pylonsync/protocol";
import type { Claims } from "@pylonsync/query";
import {
  ADMIN,
  ANONYMOUS,
  ANONYMOUS_IDENTITY,
  type Caller,
  type Identity,
  type SessionStatus,
} from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { hashOf, isSameHash, newToken } from "../security/secrets.ts";
import { userClaims } from "../users/user-claims.ts";
import { IdentityCache } from "./identity-cache.ts";
import { UserEpochs } from "./user-epochs.ts";

const SESSIONS = SYSTEM_TABLES.sessions;
const { userClaims: USER_CLAIMS, mcpGrants: MCP_GRANTS } = SYSTEM_TABLES;
/**
 * The time for which an identity is cached, in milliseconds. It is the maximum time for which a
 * session is accepted after another replica ended it.
 */
const CACHE_TTL_MS = 500;
/** The minimum time between two updates of a session's last use, in milliseconds. */
const SEEN_EVERY_MS = 60_000;

/** The properties of a new session. */
export interface NewSession {
  readonly isGuest: boolean;
  /** Milliseconds. */
  readonly lifetimeMs: number;
  readonly roles?: readonly string[];
  readonly tenantId?: string | null;
  readonly isTrustedDevice?: boolean;
  /** The app's claims for this session only. */
  readonly claims?: Claims;
  /** The device as the user recognizes it: the browser's name for itself. */
  readonly device?: string;
  /**
   * From `epochOf`, called before the proof was checked. Without it, the session is created even if
   * the others have been revoked in the meantime.
   */
  readonly epoch?: string | undefined;
}

/** A stored session. */
export interface SessionInfo {
  readonly id: string;
  /** Identifies the session to its user; gives no access. */
  readonly publicId: string;
  readonly userId: string;
  readonly tenantId: string | null;
  readonly isGuest: boolean;
  readonly roles: readonly string[];
  readonly isTrustedDevice: boolean;
  /** The app's claims for this session only. */
  readonly claims: Claims;
  readonly device: string;
  /** Milliseconds since 1970, like the two below. */
  readonly createdAt: number;
  readonly seenAt: number;
  readonly expiresAt: number;
}

/** What may change during the lifetime of a session. */
export type SessionPatch = Partial<
  Pick<SessionInfo, "tenantId" | "roles" | "isTrustedDevice" | "claims">
>;

/** The limits of sessions. */
export interface SessionLimits {
  readonly idleMs?: () => number;
  readonly maxOfUser?: number;
}

/**
 * Creates, finds and ends sessions. They are in the store, by the hash of their token, so any
 * replica knows all of them.
 */
export class Sessions {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #adminHashes: readonly string[];
  readonly #idleMs: () => number;
  readonly #maxOfUser: number;
  readonly #epochs: UserEpochs;
  readonly #endListeners = new Set<(sessionId: string) => void>();
  readonly #changeListeners = new Set<(sessionId: string) => void>();
  readonly #userListeners = new Set<(userId: string) => void>();
  /** By session id. It is only a cache: everything else is read from the store. */
  readonly #identityCache: IdentityCache;
  /** Grows whenever a session is ended or changed: a row that was read before is not cached. */
  #cacheGeneration = 0;

  /**
   * @param adminTokens the bearer of one of these tokens is the admin
   * @param limits.idleMs after how long without use a session ends, in milliseconds; Infinity for
   *   never
   * @param limits.maxOfUser the maximum number of sessions of a user
   */
  constructor(
    store: Store,
    platform: Platform,
    adminTokens: readonly string[],
    { idleMs = () => Infinity, maxOfUser = Infinity }: SessionLimits = {},
  ) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
    this.#adminHashes = adminTokens.map(hashOf);
    this.#idleMs = idleMs;
    this.#maxOfUser = maxOfUser;
    this.#identityCache = new IdentityCache(platform);
    this.#epochs = new UserEpochs(store, platform);
    // A session may be ended or changed on any replica: the change log notifies all of them,
    // including this one.
    store.follow((changes) => {
      for (const { entity, kind, rowId } of changes) {
        if (entity === USER_CLAIMS.name) this.#userChanged(rowId);
        if (entity !== SESSIONS.name) continue;
        if (kind === "delete") this.#ended(rowId);
        else this.#changed(rowId);
      }
    });
  }

  /**
   * @returns the token, which is not stored
   * @throws PylonError UNAUTHORIZED when `options.epoch` has ended
   */
  async create(userId: string, options: NewSession): Promise<string> {
    const token = newToken(this.#platform);
    const { epoch } = options;
    if (epoch === undefined) {
      await transactById(this.#store, (tx) => this.#insert(tx, token, userId, options));
      return token;
    }
    await this.#store.transact(async (tx) => {
      await this.#epochs.check(tx, userId, epoch);
      await this.#insert(tx, token, userId, options);
    });
    return token;
  }

  /** Creates a session of a new guest. @param lifetimeMs milliseconds */
  async createGuest(
    lifetimeMs: number,
    device: string,
  ): Promise<{ readonly userId: string; readonly token: string }> {
    const userId = this.#newId();
    return { userId, token: await this.create(userId, { isGuest: true, lifetimeMs, device }) };
  }

  /**
   * Returns the epoch for `create`. Call it before the proof of a sign-in is checked: a sign-in
   * during which this user's sessions were revoked then creates no session.
   */
  epochOf(userId: string): Promise<string> {
    return this.#epochs.of(userId);
  }

  /**
   * @param token null for a caller without one
   * @throws PylonError UNAUTHORIZED when the token is unknown, expired or revoked
   */
  async identify(token: string | null): Promise<Identity> {
    if (token === null) return ANONYMOUS_IDENTITY;
    const id = hashOf(token);
    if (this.#isAdmin(id)) return { caller: ADMIN, sessionId: null, expiresAt: Infinity };
    const identity = await this.identifyById(id);
    if (identity !== null) return identity;
    throw new PylonError("UNAUTHORIZED", "This token is unknown, expired or revoked.", {
      hint: "Sign in again.",
    });
  }

  /**
   * Returns the identity of a session's token if it was looked up a moment ago: most requests need
   * not wait for the database.
   */
  known(token: string): Identity | undefined {
    const id = hashOf(token);
    return this.#isAdmin(id) ? undefined : this.#cached(id);
  }

  #isAdmin(hash: string): boolean {
    return this.#adminHashes.some((adminHash) => isSameHash(hash, adminHash));
  }

  /** Returns the identity of a session, by the session's id, or null if it has ended. */
  async identifyById(sessionId: string): Promise<Identity | null> {
    const now = this.#platform.now();
    const identity = this.#cached(sessionId) ?? (await this.#lookUp(sessionId, now));
    return identity === null || identity.expiresAt <= now ? null : identity;
  }

  /**
   * Whether this identity object is known to be still the one of its session.
   *
   * @returns false also if that must be looked up
   */
  isCurrent(identity: Identity): boolean {
    const { sessionId } = identity;
    return sessionId !== null && this.#cached(sessionId) === identity;
  }

  /** Returns the identity of a session if it was looked up a moment ago. */
  #cached(sessionId: string): Identity | undefined {
    const identity = this.#identityCache.get(sessionId);
    return identity !== undefined && identity.expiresAt > this.#platform.now()
      ? identity
      : undefined;
  }

  /**
   * Returns the status of the session with which this caller was identified. Changes that this
   * replica was notified of count immediately.
   */
  async sessionStatus(sessionId: string, caller: Caller): Promise<SessionStatus> {
    const now = await this.identifyById(sessionId);
    if (now === null) return "revoked";
    // Mostly it is the cached identity with which the caller connected.
    const isSame = now.caller === caller || rightsOf(now.caller) === rightsOf(caller);
    return isSame ? "valid" : "changed";
  }

  /** Returns the session with this id, even if it has ended, or null if there is none. */
  async get(sessionId: string): Promise<SessionInfo | null> {
    const row = await SESSIONS.get(this.#store, sessionId);
    return row === null ? null : toInfo(row);
  }

  /**
   * Returns the identity of a session, by its public id, which a new token does not change, or null
   * if it has ended.
   */
  async identifyByPublicId(userId: string, publicId: string): Promise<Identity | null> {
    const session = (await this.list(userId)).find((one) => one.publicId === publicId);
    return session === undefined ? null : this.identifyById(session.id);
  }

  /** Returns the user's active sessions, the newest first. */
  async list(userId: string): Promise<SessionInfo[]> {
    const now = this.#platform.now();
    const rows = await SESSIONS.select(this.#store, { where: SESSIONS.is("userId", userId) });
    return rows
      .map(toInfo)
      .filter(({ expiresAt }) => expiresAt > now)
      .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  /**
   * Ends a session: its token becomes invalid and its sockets are closed, on all replicas.
   *
   * @returns whether it existed
   */
  async end(sessionId: string): Promise<boolean> {
    const ended = await transactById(this.#store, (tx) => this.#delete(tx, sessionId));
    this.#ended(sessionId);
    return ended;
  }

  /**
   * Ends all sessions of a user, the access of MCP clients, and the sign-ins in progress.
   *
   * @param options.except the id of a session that is kept
   * @returns the number of ended sessions
   */
  async endAll(userId: string, options: { readonly except?: string | null } = {}): Promise<number> {
    return this.#endAll(userId, false, options.except ?? null);
  }

  /**
   * Call this before a guest's data becomes a user's.
   *
   * @throws PylonError UNAUTHORIZED when the guest has become another user
   */
  become(guestId: string, userId: string): Promise<void> {
    return this.#store.transact((tx) => this.#epochs.become(tx, guestId, userId));
  }

  /**
   * Makes a guest a user with the same id within this transaction, and ends its sessions.
   *
   * @throws PylonError like `become`
   */
  async claimGuest(tx: Transaction, guestId: string): Promise<void> {
    await this.#epochs.become(tx, guestId, guestId);
    await this.revokeAll(tx, guestId);
  }

  /**
   * Like `endAll`, within the transaction that deletes the user: the change log notifies this
   * replica too.
   */
  async revokeAll(tx: Transaction, userId: string): Promise<void> {
    await this.#epochs.begin(tx, userId);
    await MCP_GRANTS.deleteWhere(tx, MCP_GRANTS.is("userId", userId));
    for (const { id } of await SESSIONS.select(tx, { where: SESSIONS.is("userId", userId) }))
      await this.#delete(tx, id);
  }

  /**
   * Revokes all access to an account: ends the sessions, rejects sign-ins while `work` deletes the
   * credentials, and then ends any session that was created nevertheless.
   */
  async withLockedAccount<T>(userId: string, work: () => Promise<T>): Promise<T> {
    await this.#endAll(userId, true, null);
    try {
      return await work();
    } finally {
      await this.#endAll(userId, false, null);
    }
  }

  /**
   * For writes in a session's name: checks that the session is active. It can be neither ended nor
   * changed before this transaction has ended.
   *
   * @returns the session
   * @throws PylonError UNAUTHORIZED
   */
  async requireActive(tx: Transaction, sessionId: string): Promise<SessionInfo> {
    const row = await SESSIONS.get(tx, sessionId);
    // Written, and not only read: a transaction that ends the session in the meantime then
    // conflicts with this one at every isolation level.
    const isActive =
      row !== null && (await SESSIONS.update(tx, sessionId, { seenAt: this.#platform.now() }));
    if (!isActive)
      throw new PylonError("UNAUTHORIZED", "This session was revoked in the meantime.", {
        hint: "Sign in again.",
      });
    return toInfo(row);
  }

  /**
   * Gives a session a new token; the old one becomes invalid.
   *
   * @param change returns what changes in the session
   * @returns null when the session has ended
   */
  async rotate(
    sessionId: string,
    lifetimeMs: number,
    change: (session: SessionInfo) => SessionPatch = () => ({}),
  ): Promise<{ readonly token: string; readonly userId: string } | null> {
    const token = newToken(this.#platform);
    const rotated = await transactById(this.#store, async (tx) => {
      const row = await SESSIONS.get(tx, sessionId);
      if (row === null) return null;
      await this.#delete(tx, sessionId);
      const session = toInfo(row);
      const { publicId, createdAt, ...info } = session;
      await this.#insert(
        tx,
        token,
        info.userId,
        { ...info, ...change(session), lifetimeMs },
        { publicId, createdAt },
      );
      return { token, userId: info.userId };
    });
    if (rotated !== null) this.#ended(sessionId);
    return rotated;
  }

  /**
   * Changes the rights of a session; all replicas and its open connections are notified.
   *
   * @returns whether it existed
   */
  async update(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const isThere = await transactById(this.#store, (tx) => this.#patch(tx, sessionId, patch));
    this.#changed(sessionId);
    return isThere;
  }

  /**
   * Transfers a session to another user. It keeps its token and loses all rights that it had.
   *
   * @param lifetimeMs the new lifetime, in milliseconds
   * @returns whether it existed
   */
  async transfer(sessionId: string, userId: string, lifetimeMs: number): Promise<boolean> {
    const now = this.#platform.now();
    const isThere = await transactById(this.#store, async (tx) => {
      await this.#makeRoom(tx, userId, sessionId);
      return this.#patch(tx, sessionId, {
        userId,
        isGuest: false,
        tenantId: null,
        roles: [],
        isTrustedDevice: false,
        claims: {},
        createdAt: now,
        seenAt: now,
        expiresAt: now + lifetimeMs,
      });
    });
    this.#changed(sessionId);
    return isThere;
  }

  /**
   * Changes the rights of all sessions of a user, including one that is just getting a new token.
   *
   * @param change returns null for a session that stays unchanged
   */
  async updateAll(
    userId: string,
    change: (session: SessionInfo) => SessionPatch | null,
  ): Promise<void> {
    const changed = await this.#store.transact((tx) => this.updateAllIn(tx, userId, change));
    for (const id of changed) this.#changed(id);
  }

  /**
   * Like `updateAll`, within this transaction: the change log notifies this replica too.
   *
   * @returns the ids of the changed sessions
   */
  async updateAllIn(
    tx: Transaction,
    userId: string,
    change: (session: SessionInfo) => SessionPatch | null,
  ): Promise<string[]> {
    const ids: string[] = [];
    const rows = await SESSIONS.select(tx, { where: SESSIONS.is("userId", userId) });
    for (const session of rows.map(toInfo)) {
      const patch = change(session);
      if (patch !== null && (await this.#patch(tx, session.id, patch))) ids.push(session.id);
    }
    return ids;
  }

  /** Deletes the rows of expired sessions. @returns the number of deleted rows */
  async forgetExpired(): Promise<number> {
    this.#identityCache.forgetExpired();
    await this.#epochs.forgetOld();
    return this.#store.transact((tx) =>
      SESSIONS.deleteWhere(tx, SESSIONS.isUpTo("expiresAt", this.#platform.now())),
    );
  }

  /** Calls `listener` when a session ends before it expires. @returns an unsubscribe function */
  onEnd(listener: (sessionId: string) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Calls `listener` when a session's caller changes. @returns an unsubscribe function */
  onChange(listener: (sessionId: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /**
   * Calls `listener` when the rights of all sessions and keys of a user change.
   *
   * @returns an unsubscribe function
   */
  onUserChange(listener: (userId: string) => void): () => void {
    this.#userListeners.add(listener);
    return () => this.#userListeners.delete(listener);
  }

  async #insert(
    tx: Transaction,
    token: string,
    userId: string,
    options: NewSession,
    kept?: { readonly publicId: string; readonly createdAt: number },
  ): Promise<void> {
    const now = this.#platform.now();
    if (kept === undefined) await this.#makeRoom(tx, userId);
    await SESSIONS.insert(tx, {
      id: hashOf(token),
      userId,
      isGuest: options.isGuest,
      tenantId: options.tenantId ?? null,
      roles: options.roles ?? [],
      createdAt: kept?.createdAt ?? now,
      expiresAt: now + options.lifetimeMs,
      publicId: kept?.publicId ?? this.#newId(),
      device: (options.device ?? "").slice(0, 200),
      seenAt: now,
      isTrustedDevice: options.isTrustedDevice ?? false,
      claims: options.claims ?? {},
    });
  }

  /**
   * If a user has too many sessions, ends those that have expired, then those that were not used
   * for the longest time.
   *
   * @param except the id of a session that becomes or stays the user's
   */
  async #makeRoom(tx: Transaction, userId: string, except: string | null = null): Promise<void> {
    const where = SESSIONS.is("userId", userId);
    if ((await SESSIONS.count(tx, where)) < this.#maxOfUser) return;
    const now = this.#platform.now();
    const others = (await SESSIONS.select(tx, { where }))
      .map(toInfo)
      .filter(({ id }) => id !== except);
    const order = ({ expiresAt, seenAt }: SessionInfo): number => (expiresAt <= now ? 0 : seenAt);
    others.sort((a, b) => order(a) - order(b));
    const tooMany = Math.max(0, others.length - this.#maxOfUser + 1);
    for (const { id } of others.slice(0, tooMany)) await this.#delete(tx, id);
  }

  async #endAll(userId: string, closes: boolean, except: string | null): Promise<number> {
    const ended = await this.#store.transact(async (tx) => {
      await this.#epochs.begin(tx, userId, closes);
      await MCP_GRANTS.deleteWhere(tx, MCP_GRANTS.is("userId", userId));
      const rows = await SESSIONS.select(tx, { where: SESSIONS.is("userId", userId) });
      const ids = rows.map(({ id }) => id).filter((id) => id !== except);
      for (const id of ids) await this.#delete(tx, id);
      return ids;
    });
    for (const id of ended) this.#ended(id);
    return ended.length;
  }

  async #patch(
    tx: Transaction,
    sessionId: string,
    patch: Partial<Omit<RowOf<typeof SESSIONS>, "id">>,
  ): Promise<boolean> {
    if (!(await SESSIONS.update(tx, sessionId, patch))) return false;
    await SESSIONS.announce(tx, sessionId, "update", this.#platform.now());
    return true;
  }

  async #delete(tx: Transaction, sessionId: string): Promise<boolean> {
    const isThere = await SESSIONS.delete(tx, sessionId);
    if (isThere) await SESSIONS.announce(tx, sessionId, "delete", this.#platform.now());
    return isThere;
  }

  #ended(sessionId: string): void {
    this.#cacheGeneration += 1;
    this.#identityCache.delete(sessionId);
    for (const listener of this.#endListeners) listener(sessionId);
  }

  #changed(sessionId: string): void {
    this.#cacheGeneration += 1;
    this.#identityCache.delete(sessionId);
    for (const listener of this.#changeListeners) listener(sessionId);
  }

  #userChanged(userId: string): void {
    this.#cacheGeneration += 1;
    this.#identityCache.deleteWhere((caller) => caller.userId === userId);
    for (const listener of this.#userListeners) listener(userId);
  }

  async #lookUp(id: string, now: number): Promise<Identity | null> {
    const generation = this.#cacheGeneration;
    const readAt = this.#platform.monotonic();
    const row = await SESSIONS.get(this.#store, id);
    if (row === null) return null;
    const info = toInfo(row);
    const { seenAt } = info;
    const idleMs = this.#idleMs();
    if (now - seenAt >= idleMs) {
      await this.end(id);
      return null;
    }
    const everyMs = Math.min(SEEN_EVERY_MS, idleMs / 4);
    if (now - seenAt >= everyMs)
      await transactById(this.#store, (tx) => SESSIONS.update(tx, id, { seenAt: now }));
    const identity = toIdentity(info, await userClaims(this.#store, info.userId));
    if (this.#cacheGeneration !== generation) return identity;
    this.#identityCache.set(id, identity, readAt + Math.min(CACHE_TTL_MS, everyMs));
    return identity;
  }
}

/** Rows of sessions that were created before a column existed contain null in it. */
function toInfo(row: RowOf<typeof SESSIONS>): SessionInfo {
  return {
    ...row,
    publicId: row.publicId ?? hashOf(row.id).slice(0, 32),
    isTrustedDevice: row.isTrustedDevice === true,
    claims: row.claims ?? {},
    device: row.device ?? "",
    seenAt: row.seenAt ?? row.createdAt,
  };
}

function rightsOf({ userId, isGuest, tenantId, roles, isTrustedDevice, claims }: Caller): string {
  return JSON.stringify([userId, isGuest, tenantId, roles, isTrustedDevice, claims]);
}

/** @param ofUser the user's claims, which override those of the session */
function toIdentity(info: SessionInfo, ofUser: Claims): Identity {
  const { id, userId, isGuest, tenantId, roles, isTrustedDevice, expiresAt } = info;
  const claims = { ...info.claims, ...ofUser };
  return {
    caller: { ...ANONYMOUS, userId, isGuest, tenantId, roles, isTrustedDevice, claims },
    sessionId: id,
    expiresAt,
  };
}
