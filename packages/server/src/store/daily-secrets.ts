import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Store } from "./store.ts";
import { transactById, type RowOf } from "./system-table.ts";
import type { SYSTEM_TABLES } from "./system-tables.ts";

type SecretTable = typeof SYSTEM_TABLES.shardSecrets | typeof SYSTEM_TABLES.fileSecrets;
type Secret = RowOf<SecretTable>;

const DAY_MS = 24 * 60 * 60_000;
const SECRET_BYTES = 32;
const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/**
 * Signs texts so that each replica can verify the signatures of the others: with secrets in the
 * database, one for each day. A deleted secret verifies no signatures any more, so an old copy of
 * the database is useless.
 */
export class DailySecrets {
  readonly #table: SecretTable;
  readonly #store: Store;
  readonly #platform: Pick<Platform, "now" | "random">;
  readonly #keys = new Map<number, Promise<CryptoKey | null>>();

  constructor(table: SecretTable, store: Store, platform: Pick<Platform, "now" | "random">) {
    this.#table = table;
    this.#store = store;
    this.#platform = platform;
  }

  /** The number of the day that contains a time, in milliseconds since 1970. */
  static dayOf(ms: number): number {
    return Math.floor(ms / DAY_MS);
  }

  /** @returns the signature of a text with the secret of a day, in base64url */
  async sign(day: number, text: string): Promise<string> {
    const key = await this.#keyOf(day, true);
    if (key === null) throw new Error("A secret that was just created does not exist.");
    const signature = await crypto.subtle.sign(HMAC.name, key, Buffer.from(text));
    return Buffer.from(signature).toString("base64url");
  }

  /** Whether the text was signed with the secret of that day. */
  async verify(day: number, text: string, signature: string): Promise<boolean> {
    const key = await this.#keyOf(day, false);
    if (key === null) return false;
    const bytes = Buffer.from(signature, "base64url");
    return crypto.subtle.verify(HMAC.name, key, bytes, Buffer.from(text));
  }

  /** Deletes secrets that are no longer used: the oldest that is kept is yesterday's. */
  async forgetOld(): Promise<void> {
    const first = this.#firstKept();
    for (const day of this.#keys.keys()) if (day < first) this.#keys.delete(day);
    await this.#store.transact(async (tx) => {
      for (const { id } of await this.#table.select(tx))
        if (Number(id) < first) await this.#table.delete(tx, id);
    });
  }

  #firstKept(): number {
    return DailySecrets.dayOf(this.#platform.now()) - 1;
  }

  #keyOf(day: number, isMade: boolean): Promise<CryptoKey | null> {
    const known = this.#keys.get(day);
    if (known === undefined) return this.#keep(day, this.#load(day, isMade));
    // A concurrent verification of any signature may be checking whether the secret exists.
    return isMade ? known.then((found) => found ?? this.#keep(day, this.#load(day, true))) : known;
  }

  #keep(day: number, key: Promise<CryptoKey | null>): Promise<CryptoKey | null> {
    this.#keys.set(day, key);
    const forget = (): void => {
      if (this.#keys.get(day) === key) this.#keys.delete(day);
    };
    key.then((found) => (found === null ? forget() : undefined), forget);
    return key;
  }

  async #load(day: number, isMade: boolean): Promise<CryptoKey | null> {
    const row = await this.#secretOf(String(day), isMade).catch((error: unknown) => {
      // Another replica has just created it.
      if (error instanceof PylonError && error.code === "ID_TAKEN")
        return this.#secretOf(String(day), false);
      throw error;
    });
    if (row === null) return null;
    const bytes = Buffer.from(row.secret, "base64url");
    return crypto.subtle.importKey("raw", bytes, HMAC, false, ["sign", "verify"]);
  }

  #secretOf(id: string, isMade: boolean): Promise<Secret | null> {
    return transactById(this.#store, async (tx) => {
      const known = await this.#table.get(tx, id);
      if (known !== null || !isMade) return known;
      const bytes = new Uint8Array(SECRET_BYTES);
      this.#platform.random(bytes);
      const made = { id, secret: Buffer.from(bytes).toString("base64url") };
      await this.#table.insert(tx, made);
      return made;
    });
  }
}
