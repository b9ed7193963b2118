import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Store } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Encryption } from "../security/encryption.ts";
import { keyOf } from "../security/secrets.ts";

const TOTPS = SYSTEM_TABLES.totp;
const BACKUP_CODES = SYSTEM_TABLES.backupCodes;
const PERIOD_S = 30;
const SECRET_BYTES = 20;
const BACKUP_CODE_COUNT = 10;
const BACKUP_CODE_LENGTH = 10;
/** Without the easily misread 0, 1, o and l. 32 characters, so that low bits choose uniformly. */
const ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz";

/**
 * Codes of an authenticator app (RFC 6238), and the backup codes for users who lose it. The library
 * is loaded on first use.
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

  /** Whether a sign-in of the user requires a code. */
  async isOn(userId: string): Promise<boolean> {
    return (await TOTPS.get(this.#store, userId))?.isOn === true;
  }

  /**
   * Creates a secret, which takes effect once one of its codes is entered.
   *
   * @returns the secret in Base32, and the URL that authenticator apps accept
   * @throws PylonError CONFLICT when the user already has one, ENCRYPTION_NOT_CONFIGURED
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
    await transactById(this.#store, async (tx) => {
      const before = await TOTPS.get(tx, userId);
      if (before?.isOn === true)
        throw new PylonError("CONFLICT", "This user already has an authenticator app.", {
          hint: "Disable it first.",
        });
      if (before === null) await TOTPS.insert(tx, { id: userId, ...row });
      else await TOTPS.update(tx, userId, row);
    });
    return {
      secret: secret.base32,
      url: new TOTP({ issuer, label, secret, period: PERIOD_S }).toString(),
    };
  }

  /**
   * Whether it is the app's current code, or that of the half minute before or after; each can be
   * used once. Turns a new secret on.
   */
  async useCode(userId: string, code: string): Promise<boolean> {
    const row = await TOTPS.get(this.#store, userId);
    if (row === null) return false;
    const { Secret, TOTP } = await import("otpauth");
    const totp = new TOTP({
      secret: Secret.fromBase32(this.#encryption.open(row.secret)),
      period: PERIOD_S,
    });
    const now = this.#platform.now();
    const delta = totp.validate({ token: code.replaceAll(/\s/g, ""), timestamp: now, window: 1 });
    if (delta === null) return false;
    const step = Math.floor(now / 1000 / PERIOD_S) + delta;
    return transactById(this.#store, async (tx) => {
      const current = await TOTPS.get(tx, userId);
      if (current === null || current.secret !== row.secret || current.step >= step) return false;
      await TOTPS.update(tx, userId, { step, isOn: true });
      return true;
    });
  }

  /** Consumes one of the user's backup codes. @returns whether it was one */
  useBackupCode(userId: string, code: string): Promise<boolean> {
    return transactById(this.#store, (tx) => BACKUP_CODES.delete(tx, keyOf(userId, plain(code))));
  }

  /** Creates ten codes, which replace the previous ones. */
  async renewBackupCodes(userId: string): Promise<string[]> {
    const codes = Array.from({ length: BACKUP_CODE_COUNT }, () => this.#newBackupCode());
    await this.#store.transact(async (tx) => {
      await BACKUP_CODES.deleteWhere(tx, BACKUP_CODES.is("userId", userId));
      for (const code of codes)
        await BACKUP_CODES.insert(tx, { id: keyOf(userId, plain(code)), userId });
    });
    return codes;
  }

  /** Deletes the user's authenticator app and backup codes. */
  async forget(userId: string): Promise<void> {
    await this.#store.transact(async (tx) => {
      await TOTPS.delete(tx, userId);
      await BACKUP_CODES.deleteWhere(tx, BACKUP_CODES.is("userId", userId));
    });
  }

  #newBackupCode(): string {
    const bytes = new Uint8Array(BACKUP_CODE_LENGTH);
    this.#platform.random(bytes);
    const letters = [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
    return `${letters.slice(0, 5)}-${letters.slice(5)}`;
  }
}

/** Normalises a code as people type it. */
function plain(code: string): string {
  return code.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}
