import { hash, timingSafeEqual } from "node:crypto";
import { PylonError } from "@pylonsync/protocol";
import { ADMIN, ANONYMOUS, ANONYMOUS_IDENTITY, type Identity } from "../data/caller.ts";
import type { Platform } from "../platform.ts";
import type { Store, StoredRow } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const TABLE = SYSTEM_TABLES.sessions.name;
const TOKEN_BYTES = 32;
/** A session is one row, looked up by its id. */
const SINGLE_ROW = { isolation: "snapshot" } as const;
/** For how long an identity is believed without asking the store, in milliseconds: so long at most may a session live on after another replica ended it. */
const BELIEVED_MS = 500;
const BELIEVED_MAX = 10_000;

/** Makes, finds and ends sessions. They live in the store, by the hash of their token, so any replica knows all of them. */
export class Sessions {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #adminHash: Buffer | null;
  readonly #endListeners = new Set<(sessionId: string) => void>();
  /** By session id. Only a shortcut: what is not in it is asked of the store. */
  readonly #believed = new Map<string, { readonly identity: Identity; readonly until: number }>();

  /** @param adminToken the bearer of this token is the admin; null when there is none */
  constructor(store: Store, platform: Platform, adminToken: string | null) {
    this.#store = store;
    this.#platform = platform;
    this.#adminHash = adminToken === null ? null : Buffer.from(hashOf(adminToken), "latin1");
    // A session may be ended on any replica: the change log tells all of them, and this one too.
    store.follow((changes) => {
      for (const { entity, kind, rowId } of changes) {
        if (entity === TABLE && kind === "delete") this.#ended(rowId);
      }
    });
  }

  /**
   * @param lifetimeMs how long the session lives, in milliseconds
   * @returns the token, which is stored nowhere
   */
  async create(userId: string, options: { readonly isGuest: boolean; readonly lifetimeMs: number }): Promise<string> {
    const token = this.#newToken();
    const now = this.#platform.now();
    await this.#store.transact((tx) =>
      tx.insert(TABLE, {
        id: hashOf(token),
        userId,
        isGuest: options.isGuest,
        tenantId: null,
        roles: "[]",
        createdAt: new Date(now).toISOString(),
        expiresAt: new Date(now + options.lifetimeMs).toISOString(),
      }),
      SINGLE_ROW,
    );
    return token;
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
    const now = this.#platform.now();
    const believed = this.#believed.get(id);
    const identity = believed !== undefined && believed.until > now ? believed.identity : await this.#lookUp(id, now);
    if (identity === null || identity.expiresAt <= now) {
      throw new PylonError("UNAUTHORIZED", "This token is unknown, expired or revoked.", { hint: "Sign in again." });
    }
    return identity;
  }

  /** Ends a session: its token is dead and its sockets are closed, on all replicas. @returns whether it was there */
  async end(sessionId: string): Promise<boolean> {
    const ended = await this.#store.transact(async (tx) => {
      const isThere = await tx.delete(TABLE, sessionId);
      if (isThere) await tx.append({ entity: TABLE, rowId: sessionId, kind: "delete", before: null, after: null, at: this.#platform.now() });
      return isThere;
    }, SINGLE_ROW);
    this.#ended(sessionId);
    return ended;
  }

  /** Deletes the rows of expired sessions. @returns how many */
  forgetExpired(): Promise<number> {
    const now = new Date(this.#platform.now()).toISOString();
    return this.#store.transact((tx) =>
      tx.deleteWhere(TABLE, {
        kind: "compare",
        op: "<=",
        left: { kind: "path", root: "data", name: "expiresAt" },
        right: { kind: "literal", value: now },
      }),
    );
  }

  /** Calls `listener` when a session is ended before its time. @returns stops it */
  onEnd(listener: (sessionId: string) => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  #ended(sessionId: string): void {
    this.#believed.delete(sessionId);
    for (const listener of this.#endListeners) listener(sessionId);
  }

  async #lookUp(id: string, now: number): Promise<Identity | null> {
    const row = await this.#store.get(TABLE, id);
    if (row === null) return null;
    const identity = toIdentity(row);
    if (this.#believed.size >= BELIEVED_MAX) this.#believed.clear();
    this.#believed.set(id, { identity, until: now + BELIEVED_MS });
    return identity;
  }

  #newToken(): string {
    const bytes = new Uint8Array(TOKEN_BYTES);
    this.#platform.random(bytes);
    return Buffer.from(bytes).toString("base64url");
  }
}

function hashOf(token: string): string {
  return hash("sha256", token, "hex");
}

function toIdentity(row: StoredRow): Identity {
  return {
    caller: {
      ...ANONYMOUS,
      userId: row["userId"] as string,
      isGuest: row["isGuest"] as boolean,
      tenantId: row["tenantId"] as string | null,
      roles: JSON.parse(row["roles"] as string) as string[],
    },
    sessionId: row.id,
    expiresAt: Date.parse(row["expiresAt"] as string),
  };
}
