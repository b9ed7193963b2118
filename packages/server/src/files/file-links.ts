import { DailySecrets } from "../store/daily-secrets.ts";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

/** The maximum validity of a link, in seconds. */
export const MAX_LINK_S = 7 * 24 * 60 * 60;

/**
 * Links with which anybody can read one file for a limited time; they are signed, so each replica
 * can verify them.
 */
export class FileLinks {
  readonly #secrets: DailySecrets;
  readonly #now: () => number;

  constructor(store: Store, platform: Pick<Platform, "now" | "random">) {
    this.#secrets = new DailySecrets(SYSTEM_TABLES.fileSecrets, store, platform);
    this.#now = platform.now;
  }

  /**
   * @param forS how long it is valid, in seconds
   * @returns its path, from the server's root
   */
  async sign(id: string, forS: number): Promise<string> {
    const expires = Math.ceil(this.#now() / 1000) + forS;
    const signature = await this.#secrets.sign(dayOf(expires), textOf(id, String(expires)));
    return `/api/files/${id}?expires=${expires}&signature=${signature}`;
  }

  /** Whether a link to the file has a correct signature and has not expired. */
  async isGood(id: string, expires: string, signature: string): Promise<boolean> {
    const at = /^\d{1,12}$/.test(expires) ? Number(expires) : 0;
    const now = this.#now() / 1000;
    // No secret is looked up for a day for which no link is signed. A replica's clock may be ahead.
    if (at <= now || at > now + MAX_LINK_S + 60 || signature.length > 64) return false;
    return this.#secrets.verify(dayOf(at), textOf(id, expires), signature);
  }

  /** Deletes secrets of expired links. */
  forgetOld(): Promise<void> {
    return this.#secrets.forgetOld();
  }
}

function dayOf(seconds: number): number {
  return DailySecrets.dayOf(seconds * 1000);
}

function textOf(id: string, expires: string): string {
  return `${id}.${expires}`;
}
