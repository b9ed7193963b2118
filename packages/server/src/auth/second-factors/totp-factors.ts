import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Store } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Encryption } from "../security/encryption.ts";
import { keyOf } from "../security/secrets.ts";
import { fieldIs } from "../security/where.ts";

const TOTPS = SYSTEM_TABLES.totp.name;
const BACKUP_CODES = SYSTEM_TABLES.backupCodes.name;
const SINGLE_ROW = { isolation: "snapshot" } as const;
const PERIOD_S = 30;
const SECRET_BYTES = 20;
const BACKUP_CODE_COUNT = 10;
const BACKUP_CODE_LENGTH = 10;
/** No 0, 1, o, l: they are read wrongly. 32 letters, so that a byte's low bits choose evenly. */
const ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz";

/**
 * Codes of an authenticator app (RFC 6238), and the backup codes for whoever loses it. The library
 * is loaded with the first.
 */
export class TotpFactors {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #encryption: Encryption;

  constructor(store: Store, platform: Platform, encryption: Encryption) {
    this.#store = store;
    this.#platform = platform;
    this.#encryption = encryption;
  }

  async isOn(userId: string): Promise<boolean> {
    return (await this.#store.get(TOTPS, userId))?.["isOn"] === true;
  }

  /**
   * Makes a secret, which counts once a code of it was given.
   *
   * @returns the secret in Base32, and the URL that authenticator apps take
   * @throws PylonError CONFLICT when the user has one already, ENCRYPTION_NOT_CONFIGURED
   */
  async enroll(
    userId: string,
    label: string,
    issuer: string,
  ): Promise<{ readonly secret: string; readonly url: string }> {
    const { Secret, TOTP } = await import("otpauth");
    const bytes = new Uint8Array(SECRET_BYTES);
    this.#platform.random(bytes);
    const secret = new Secret({ buffer: bytes.buffer });
    const row = { secret: this.#encryption.seal(secret.base32), isOn: false, step: 0 };
    await this.#store.transact(async (tx) => {
      const before = await tx.get(TOTPS, userId);
      if (before?.["isOn"] === true)
        throw new PylonError("CONFLICT", "This user has an authenticator app already.", {
          hint: "Disable it first.",
        });
      if (before === null) await tx.insert(TOTPS, { id: userId, ...row });
      else await tx.update(TOTPS, userId, row);
    }, SINGLE_ROW);
    return {
      secret: secret.base32,
      url: new TOTP({ issuer, label, secret, period: PERIOD_S }).toString(),
    };
  }

  /**
   * Whether it is the app's code of now, or of the half minute before or after; each can be used
   * once. Turns a new secret on.
   */
  async useCode(userId: string, code: string): Promise<boolean> {
    const row = await this.#store.get(TOTPS, userId);
    if (row === null) return false;
    const { Secret, TOTP } = await import("otpauth");
    const totp = new TOTP({
      secret: Secret.fromBase32(this.#encryption.open(row["secret"] as string)),
      period: PERIOD_S,
    });
    const now = this.#platform.now();
    const delta = totp.validate({ token: code.replaceAll(/\s/g, ""), timestamp: now, window: 1 });
    if (delta === null) return false;
    const step = Math.floor(now / 1000 / PERIOD_S) + delta;
    return this.#store.transact(async (tx) => {
      const current = await tx.get(TOTPS, userId);
      if (
        current === null ||
        current["secret"] !== row["secret"] ||
        (current["step"] as number) >= step
      )
        return false;
      await tx.update(TOTPS, userId, { step, isOn: true });
      return true;
    }, SINGLE_ROW);
  }

  /** Whether it is one of the user's backup codes, which is used up. */
  useBackupCode(userId: string, code: string): Promise<boolean> {
    return this.#store.transact(
      (tx) => tx.delete(BACKUP_CODES, keyOf(userId, plain(code))),
      SINGLE_ROW,
    );
  }

  /** Makes ten codes; those before are void. */
  async renewBackupCodes(userId: string): Promise<string[]> {
    const codes = Array.from({ length: BACKUP_CODE_COUNT }, () => this.#newBackupCode());
    await this.#store.transact(async (tx) => {
      await tx.deleteWhere(BACKUP_CODES, fieldIs("userId", userId));
      for (const code of codes)
        await tx.insert(BACKUP_CODES, { id: keyOf(userId, plain(code)), userId });
    });
    return codes;
  }

  async forget(userId: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      await tx.delete(TOTPS, userId);
      await tx.deleteWhere(BACKUP_CODES, fieldIs("userId", userId));
    });
  }

  #newBackupCode(): string {
    const bytes = new Uint8Array(BACKUP_CODE_LENGTH);
    this.#platform.random(bytes);
    const letters = [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
    return `${letters.slice(0, 5)}-${letters.slice(5)}`;
  }
}

/** As people type it. */
function plain(code: string): string {
  return code.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}
