import type { Platform } from "../../platform.ts";
import type { RequestContext } from "../../request/context.ts";
import type { Store } from "../../store/store.ts";
import { isoTime, transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { deviceOf } from "../security/audit.ts";
import { hashOf, newToken } from "../security/secrets.ts";
import type { SessionCookie } from "../sessions/session-cookie.ts";

const DEVICES = SYSTEM_TABLES.trustedDevices;
const LIFETIME_MS = 30 * 24 * 60 * 60_000;
const COOKIE = "device";

/** A device that is not asked for a second factor for a while. */
export interface TrustedDevice {
  readonly id: string;
  readonly device: string;
  readonly created_at: string;
  readonly expires_at: string;
}

/**
 * Browsers that a user said to trust: there a sign-in asks for no second factor. Each holds a token
 * in a cookie of its own.
 */
export class TrustedDevices {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #cookie: SessionCookie;

  constructor(store: Store, platform: Platform, cookie: SessionCookie) {
    this.#store = store;
    this.#platform = platform;
    this.#cookie = cookie;
  }

  /** @returns the `Set-Cookie` for the browser */
  async trust(context: RequestContext, userId: string): Promise<string> {
    const token = newToken(this.#platform);
    const now = this.#platform.now();
    const row = {
      id: hashOf(token),
      userId,
      device: deviceOf(context),
      createdAt: now,
      expiresAt: now + LIFETIME_MS,
    };
    await transactById(this.#store, (tx) => DEVICES.insert(tx, row));
    return this.#cookie.other(COOKIE, token, LIFETIME_MS);
  }

  /** Whether the request comes from a browser that this user trusts. */
  async isTrusted(context: RequestContext, userId: string): Promise<boolean> {
    const token = this.#cookie.readOther(context.request.headers, COOKIE);
    const row = token === null ? null : await DEVICES.get(this.#store, hashOf(token));
    return row !== null && row.userId === userId && row.expiresAt > this.#platform.now();
  }

  /** The browsers that the user trusts. */
  async list(userId: string): Promise<TrustedDevice[]> {
    const rows = await DEVICES.select(this.#store, { where: DEVICES.is("userId", userId) });
    // The row's id is the hash of a secret of 256 bits: it opens nothing.
    return rows.map((row) => ({
      id: row.id,
      device: row.device,
      created_at: isoTime(row.createdAt),
      expires_at: isoTime(row.expiresAt),
    }));
  }

  /** @returns whether it was there */
  end(userId: string, id: string): Promise<boolean> {
    return transactById(
      this.#store,
      async (tx) => (await DEVICES.get(tx, id))?.userId === userId && DEVICES.delete(tx, id),
    );
  }

  /** The user trusts no browser from now on. */
  async forget(userId: string): Promise<void> {
    await this.#store.transact((tx) => DEVICES.deleteWhere(tx, DEVICES.is("userId", userId)));
  }

  /** Deletes what is too old. @returns how many */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      DEVICES.deleteWhere(tx, DEVICES.isUpTo("expiresAt", this.#platform.now())),
    );
  }
}
