import type nodeCrypto from "node:crypto";
import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";

const ALGORITHM = "aes-256-gcm";
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** The version of the ciphertext format, in case it ever changes. */
const FORM = "v1.";

/** Dev mode encrypts with this public key: it protects nothing, but is the same after a restart. */
const DEV_SECRET = "pylon dev mode keeps no secrets";

/** Returns the secret to encrypt with; null if there is none. */
export function encryptionSecretOf({
  encryptionSecret,
  dev,
}: {
  readonly encryptionSecret: string | null;
  readonly dev: boolean;
}): string | null {
  return encryptionSecret ?? (dev ? DEV_SECRET : null);
}

/**
 * Encrypts others' secrets for the database: OAuth providers' tokens, authenticator apps' seeds.
 */
export class Encryption {
  readonly #key: Buffer | null;
  readonly #random: Platform["random"];

  /**
   * @param secret any text of high entropy; null: nothing can be encrypted
   * @param purpose what is encrypted: each purpose has a key of its own
   */
  constructor(
    secret: string | null,
    { random }: Pick<Platform, "random">,
    purpose = "pylon secrets at rest",
  ) {
    this.#random = random;
    this.#key =
      secret === null ? null : Buffer.from(crypto().hkdfSync("sha256", secret, "", purpose, 32));
  }

  /** Whether there is a key: without one nothing can be encrypted. */
  get isOn(): boolean {
    return this.#key !== null;
  }

  /**
   * @param owner what the text belongs to: it is decrypted only for the same
   * @throws PylonError ENCRYPTION_NOT_CONFIGURED
   */
  seal(text: string, owner = ""): string {
    const iv = new Uint8Array(IV_BYTES);
    this.#random(iv);
    const cipher = crypto().createCipheriv(ALGORITHM, this.#required(), iv);
    cipher.setAAD(Buffer.from(owner));
    const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return FORM + Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64url");
  }

  /**
   * @throws PylonError ENCRYPTION_NOT_CONFIGURED; Error when it was encrypted with another key or
   *   for another owner, or has been changed
   */
  open(sealed: string, owner = ""): string {
    if (!sealed.startsWith(FORM)) throw new Error("The value has an unknown encryption format.");
    const bytes = Buffer.from(sealed.slice(FORM.length), "base64url");
    const decipher = crypto().createDecipheriv(
      ALGORITHM,
      this.#required(),
      bytes.subarray(0, IV_BYTES),
    );
    decipher.setAAD(Buffer.from(owner));
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return Buffer.concat([
      decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)),
      decipher.final(),
    ]).toString("utf8");
  }

  #required(): Buffer {
    if (this.#key !== null) return this.#key;
    throw new PylonError(
      "ENCRYPTION_NOT_CONFIGURED",
      "No encryption key is configured on this server.",
      { hint: "Set PYLON_SSO_ENCRYPTION_KEY." },
    );
  }
}

/** Loaded only if there is a key, because it loads all of Node's streams. */
function crypto(): typeof nodeCrypto {
  return process.getBuiltinModule("node:crypto");
}
