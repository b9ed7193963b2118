import { timingSafeEqual } from "node:crypto";
import { createIdFactory, PylonError } from "@pylonsync/protocol";
import {
  ADMIN,
  ANONYMOUS,
  ANONYMOUS_IDENTITY,
  type Caller,
  type Identity,
  type SessionStatus,
} from "../identity/identity.ts";
import type { Platform } from "../platform.ts";
import type { Store, StoredRow, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import { hashOf, newToken } from "./secrets.ts";
import { UserEpochs } from "./user-epochs.ts";
import { fieldIs, fieldIsUpTo } from "./where.ts";

const TABLE = SYSTEM_TABLES.sessions.name;
/** A session is one row, looked up by its id. */
const SINGLE_ROW = { isolation: "snapshot" } as const;
/**
 * For how long an identity is believed without asking the store, in milliseconds: so long at most
 * may a session live on after another replica ended it.
 */
const CACHE_TTL_MS = 500;
const BELIEVED_MAX = 10_000;
/** A session's last use is written down this often, in milliseconds. */
const SEEN_EVERY_MS = 60_000;

export interface NewSession {
  readonly isGuest: boolean;
  readonly lifetimeMs: number;
  readonly roles?: readonly string[];
  readonly tenantId?: string | null;
  readonly isTrustedDevice?: boolean;
  /** What the user knows the device by: its browser's name for itself. */
  readonly device?: string;
  /**
   * Of `epochOf`, asked before the proof was looked at; without it the session is made whatever
   * ended the others.
   */
  readonly epoch?: string | undefined;
}

export interface SessionInfo {
  readonly id: string;
  /** Names the session to its user; opens nothing. */
  readonly publicId: string;
  readonly userId: string;
  readonly tenantId: string | null;
  readonly isGuest: boolean;
  readonly roles: readonly string[];
  readonly isTrustedDevice: boolean;
  readonly device: string;
  readonly createdAt: string;
  readonly seenAt: string;
  readonly expiresAt: string;
}

export type SessionPatch = Partial<Pick<SessionInfo, "tenantId" | "roles" | "isTrustedDevice">>;

/**
 * Makes, finds and ends sessions. They live in the store, by the hash of their token, so any
 * replica knows all of them.
 */
export class Sessions {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #newId: () => string;
  readonly #adminHash: Buffer | null;
  readonly #idleMs: () => number;
  readonly #epochs: UserEpochs;
  readonly #endListeners = new Set<(sessionId: string) => void>();
  readonly #changeListeners = new Set<(sessionId: string) => void>();
  /** By session id. Only a shortcut: what is not in it is asked of the store. */
  readonly #identityCache = new Map<
    string,
    { readonly identity: Identity; readonly until: number }
  >();
  /** Grows whenever a session is ended or changed: what was read before that is not believed. */
  #cacheGeneration = 0;

  /**
   * @param adminToken the bearer of this token is the admin; null when there is none
   * @param idleMs after how long without use a session is over, in milliseconds; Infinity for never
   */
  constructor(
    store: Store,
    platform: Platform,
    adminToken: string | null,
    idleMs: () => number = () => Infinity,
  ) {
    this.#store = store;
    this.#platform = platform;
    this.#newId = createIdFactory(platform.now, platform.random);
    this.#adminHash = adminToken === null ? null : Buffer.from(hashOf(adminToken), "latin1");
    this.#idleMs = idleMs;
    this.#epochs = new UserEpochs(store, platform);
    // A session may be ended or changed on any replica: the change log tells all of them, and this
    // one too.
    store.follow((changes) => {
      for (const { entity, kind, rowId } of changes) {
        if (entity !== TABLE) continue;
        if (kind === "delete") this.#ended(rowId);
        else this.#changed(rowId);
      }
    });
  }

  /**
   * @returns the token, which is stored nowhere
   * @throws PylonError UNAUTHORIZED when `options.epoch` is over
   */
  async create(userId: string, options: NewSession): Promise<string> {
    const token = newToken(this.#platform);
    const { epoch } = options;
    if (epoch === undefined) {
      await this.#store.transact((tx) => this.#insert(tx, token, userId, options), SINGLE_ROW);
      return token;
    }
    await this.#store.transact(async (tx) => {
      await this.#epochs.check(tx, userId, epoch);
      await this.#insert(tx, token, userId, options);
    });
    return token;
  }

  /**
   * What `create` wants to know, asked before the proof of a sign-in is looked at: a sign-in that
   * this user's sessions were ended during makes none.
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
    if (this.#adminHash !== null && timingSafeEqual(Buffer.from(id, "latin1"), this.#adminHash)) {
      return { caller: ADMIN, sessionId: null, expiresAt: Infinity };
    }
    const identity = await this.identifyById(id);
    if (identity !== null) return identity;
    throw new PylonError("UNAUTHORIZED", "This token is unknown, expired or revoked.", {
      hint: "Sign in again.",
    });
  }

  /** Who a session stands for, by the session's id; null when it is over. */
  async identifyById(sessionId: string): Promise<Identity | null> {
    const now = this.#platform.now();
    const believed = this.#identityCache.get(sessionId);
    const identity =
      believed !== undefined && believed.until > now
        ? believed.identity
        : await this.#lookUp(sessionId, now);
    return identity === null || identity.expiresAt <= now ? null : identity;
  }

  /**
   * What became of a session that stood for this caller. What this replica was told of is known at
   * once.
   */
  async sessionStatus(sessionId: string, caller: Caller): Promise<SessionStatus> {
    const now = await this.identifyById(sessionId);
    if (now === null) return "revoked";
    return rightsOf(now.caller) === rightsOf(caller) ? "valid" : "changed";
  }

  async get(sessionId: string): Promise<SessionInfo | null> {
    const row = await this.#store.get(TABLE, sessionId);
    return row === null ? null : toInfo(row);
  }

  /** The user's sessions that are not over, the newest first. */
  async list(userId: string): Promise<SessionInfo[]> {
    const now = new Date(this.#platform.now()).toISOString();
    const rows = await this.#store.select({ entity: TABLE, where: fieldIs("userId", userId) });
    return rows
      .map(toInfo)
      .filter(({ expiresAt }) => expiresAt > now)
      .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  /**
   * Ends a session: its token is dead and its sockets are closed, on all replicas.
   *
   * @returns whether it was there
   */
  async end(sessionId: string): Promise<boolean> {
    const ended = await this.#store.transact((tx) => this.#delete(tx, sessionId), SINGLE_ROW);
    this.#ended(sessionId);
    return ended;
  }

  /**
   * Ends all sessions of a user, and the sign-ins that are under way.
   *
   * @param options.except the id of one that stays
   * @returns how many ended
   */
  async endAll(userId: string, options: { readonly except?: string | null } = {}): Promise<number> {
    return this.#endAll(userId, false, options.except ?? null);
  }

  /**
   * Before what a guest has becomes a user's.
   *
   * @throws PylonError UNAUTHORIZED when the guest has become another user
   */
  become(guestId: string, userId: string): Promise<void> {
    return this.#store.transact((tx) => this.#epochs.become(tx, guestId, userId));
  }

  /**
   * A guest becomes a user with the same id within this transaction, and its sessions end.
   *
   * @throws PylonError as `become`
   */
  async claimGuest(tx: Transaction, guestId: string): Promise<void> {
    await this.#epochs.become(tx, guestId, guestId);
    await this.revokeAll(tx, guestId);
  }

  /**
   * As `endAll`, within the transaction that deletes the user: the change log tells this replica
   * too.
   */
  async revokeAll(tx: Transaction, userId: string): Promise<void> {
    await this.#epochs.begin(tx, userId);
    for (const { id } of await tx.select({ entity: TABLE, where: fieldIs("userId", userId) }))
      await this.#delete(tx, id);
  }

  /**
   * Takes an account out of whoever's hands it is in: ends the sessions, lets nobody in while
   * `work` deletes what else opens the account, and ends what got in all the same.
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
   * For what is written in a session's name: the session stands, and is neither ended nor changed
   * before this transaction has ended.
   *
   * @returns what it stands for
   * @throws PylonError UNAUTHORIZED
   */
  async requireActive(tx: Transaction, sessionId: string): Promise<SessionInfo> {
    const row = await tx.get(TABLE, sessionId);
    // Written, and not only read: whoever ends it meanwhile then meets this transaction on every
    // isolation level.
    const stands =
      row !== null &&
      (await tx.update(TABLE, sessionId, { seenAt: new Date(this.#platform.now()).toISOString() }));
    if (!stands)
      throw new PylonError("UNAUTHORIZED", "This session was ended meanwhile.", {
        hint: "Sign in again.",
      });
    return toInfo(row);
  }

  /**
   * Gives a session a new token; the old one is dead.
   *
   * @param change what it stands for from now on
   * @returns null when the session is over
   */
  async rotate(
    sessionId: string,
    lifetimeMs: number,
    change: (session: SessionInfo) => SessionPatch = () => ({}),
  ): Promise<{ readonly token: string; readonly userId: string } | null> {
    const token = newToken(this.#platform);
    const rotated = await this.#store.transact(async (tx) => {
      const row = await tx.get(TABLE, sessionId);
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
    }, SINGLE_ROW);
    if (rotated !== null) this.#ended(sessionId);
    return rotated;
  }

  /**
   * Changes what a session stands for; all replicas and its open connections see it.
   *
   * @returns whether it was there
   */
  async update(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const isThere = await this.#store.transact(
      (tx) => this.#patch(tx, sessionId, patch),
      SINGLE_ROW,
    );
    this.#changed(sessionId);
    return isThere;
  }

  /**
   * Changes what the sessions of a user stand for, also of one that is getting a new token.
   *
   * @param change null for one that stays as it is
   */
  async updateAll(
    userId: string,
    change: (session: SessionInfo) => SessionPatch | null,
  ): Promise<void> {
    const changed = await this.#store.transact(async (tx) => {
      const ids: string[] = [];
      for (const session of (
        await tx.select({ entity: TABLE, where: fieldIs("userId", userId) })
      ).map(toInfo)) {
        const patch = change(session);
        if (patch !== null && (await this.#patch(tx, session.id, patch))) ids.push(session.id);
      }
      return ids;
    });
    for (const id of changed) this.#changed(id);
  }

  /** Deletes the rows of sessions that are over. @returns how many */
  async forgetExpired(): Promise<number> {
    await this.#epochs.forgetOld();
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, fieldIsUpTo("expiresAt", this.#platform.now())),
    );
  }

  /** Calls `listener` when a session is ended before its time. @returns stops it */
  onEnd(listener: (sessionId: string) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /** Calls `listener` when a session stands for something else. @returns stops it */
  onChange(listener: (sessionId: string) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  async #insert(
    tx: Transaction,
    token: string,
    userId: string,
    options: NewSession,
    kept?: { readonly publicId: string; readonly createdAt: string },
  ): Promise<void> {
    const now = this.#platform.now();
    const at = new Date(now).toISOString();
    await tx.insert(TABLE, {
      id: hashOf(token),
      userId,
      isGuest: options.isGuest,
      tenantId: options.tenantId ?? null,
      roles: JSON.stringify(options.roles ?? []),
      createdAt: kept?.createdAt ?? at,
      expiresAt: new Date(now + options.lifetimeMs).toISOString(),
      publicId: kept?.publicId ?? this.#newId(),
      device: (options.device ?? "").slice(0, 200),
      seenAt: at,
      isTrustedDevice: options.isTrustedDevice ?? false,
    });
  }

  async #endAll(userId: string, closes: boolean, except: string | null): Promise<number> {
    const ended = await this.#store.transact(async (tx) => {
      await this.#epochs.begin(tx, userId, closes);
      const rows = await tx.select({ entity: TABLE, where: fieldIs("userId", userId) });
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
    { roles, ...rest }: SessionPatch,
  ): Promise<boolean> {
    const values = { ...rest, ...(roles === undefined ? {} : { roles: JSON.stringify(roles) }) };
    if (!(await tx.update(TABLE, sessionId, values))) return false;
    await tx.append({
      entity: TABLE,
      rowId: sessionId,
      kind: "update",
      before: null,
      after: null,
      at: this.#platform.now(),
    });
    return true;
  }

  async #delete(tx: Transaction, sessionId: string): Promise<boolean> {
    const isThere = await tx.delete(TABLE, sessionId);
    if (isThere)
      await tx.append({
        entity: TABLE,
        rowId: sessionId,
        kind: "delete",
        before: null,
        after: null,
        at: this.#platform.now(),
      });
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

  async #lookUp(id: string, now: number): Promise<Identity | null> {
    const news = this.#cacheGeneration;
    const row = await this.#store.get(TABLE, id);
    if (row === null) return null;
    const info = toInfo(row);
    const seenAt = Date.parse(info.seenAt);
    const idleMs = this.#idleMs();
    if (now - seenAt >= idleMs) {
      await this.end(id);
      return null;
    }
    const everyMs = Math.min(SEEN_EVERY_MS, idleMs / 4);
    if (now - seenAt >= everyMs)
      await this.#store.transact(
        (tx) => tx.update(TABLE, id, { seenAt: new Date(now).toISOString() }),
        SINGLE_ROW,
      );
    const identity = toIdentity(info);
    if (this.#cacheGeneration !== news) return identity;
    if (this.#identityCache.size >= BELIEVED_MAX) this.#identityCache.clear();
    this.#identityCache.set(id, { identity, until: now + Math.min(CACHE_TTL_MS, everyMs) });
    return identity;
  }
}

/** Rows of sessions that were made before a column was there have null in it. */
function toInfo(row: StoredRow): SessionInfo {
  return {
    id: row.id,
    publicId: (row["publicId"] as string | null) ?? hashOf(row.id).slice(0, 32),
    userId: row["userId"] as string,
    tenantId: row["tenantId"] as string | null,
    isGuest: row["isGuest"] as boolean,
    roles: JSON.parse(row["roles"] as string) as string[],
    isTrustedDevice: row["isTrustedDevice"] === true,
    device: (row["device"] as string | null) ?? "",
    createdAt: row["createdAt"] as string,
    seenAt: (row["seenAt"] as string | null) ?? (row["createdAt"] as string),
    expiresAt: row["expiresAt"] as string,
  };
}

function rightsOf({ userId, isGuest, tenantId, roles, isTrustedDevice }: Caller): string {
  return JSON.stringify([userId, isGuest, tenantId, roles, isTrustedDevice]);
}

function toIdentity({
  id,
  userId,
  isGuest,
  tenantId,
  roles,
  isTrustedDevice,
  expiresAt,
}: SessionInfo): Identity {
  return {
    caller: { ...ANONYMOUS, userId, isGuest, tenantId, roles, isTrustedDevice },
    sessionId: id,
    expiresAt: Date.parse(expiresAt),
  };
}
