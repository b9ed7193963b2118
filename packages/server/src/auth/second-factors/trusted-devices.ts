import { MAX_TRUSTED_DEVICES } from "@pylonsync/protocol";
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

/** A device that requires no second factor until it expires. */
export interface TrustedDevice {
  readonly id: string;
  readonly device: string;
  readonly created_at: string;
  readonly expires_at: string;
}

/**
 * Browsers that a user chose to trust: a sign-in there requires no second factor. Each stores a
 * token in a separate cookie.
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
    await transactById(this.#store, async (tx) => {
      const known = await DEVICES.select(tx, {
        where: DEVICES.is("userId", userId),
        order: [{ field: "createdAt", direction: "desc" }],
      });
      for (const { id } of known.slice(MAX_TRUSTED_DEVICES - 1)) await DEVICES.delete(tx, id);
      await DEVICES.insert(tx, row);
    });
    return this.#cookie.other(COOKIE, token, LIFETIME_MS);
  }

  /** Whether the request comes from a browser that this user trusts. */
  async isTrusted(context: RequestContext, userId: string): Promise<boolean> {
    const token = this.#cookie.readOther(context.request.headers, COOKIE);
    const row = token === null ? null : await DEVICES.get(this.#store, hashOf(token));
    return row !== null && row.userId === userId && row.expiresAt > this.#platform.now();
  }

  /** Returns the browsers that the user trusts. */
  async list(userId: string): Promise<TrustedDevice[]> {
    const rows = await DEVICES.select(this.#store, { where: DEVICES.is("userId", userId) });
    // The row's id is the hash of a 256-bit secret, so it gives no access.
    return rows.map((row) => ({
      id: row.id,
      device: row.device,
      created_at: isoTime(row.createdAt),
      expires_at: isoTime(row.expiresAt),
    }));
  }

  /** @returns whether it existed */
  end(userId: string, id: string): Promise<boolean> {
    return transactById(
      this.#store,
      async (tx) => (await DEVICES.get(tx, id))?.userId === userId && DEVICES.delete(tx, id),
    );
  }

  /** Removes all trusted browsers of the user. */
  async forget(userId: string): Promise<void> {
    await this.#store.transact((tx) => DEVICES.deleteWhere(tx, DEVICES.is("userId", userId)));
  }

  /** Deletes expired devices. @returns the number of deleted devices */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      DEVICES.deleteWhere(tx, DEVICES.isUpTo("expiresAt", this.#platform.now())),
    );
  }
}
