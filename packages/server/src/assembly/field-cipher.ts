import { literal, path, type Expr } from "@pylonsync/query";
import { Encryption, encryptionSecretOf } from "../auth/security/encryption.ts";
import type { Config } from "../config/config.ts";
import type { DataModel } from "../data/model.ts";
import type { Log } from "../observe/log.ts";
import type { Platform } from "../platform.ts";
import { isSealed, SEALED, type ValueCipher } from "../schema/encrypted-fields.ts";
import { PylonStartError } from "../start-error.ts";
import type { Store } from "../store/store.ts";

const PURPOSE = "pylon field values at rest";
/** Values that can't be decrypted are reported at most this often, in milliseconds. */
const REPORT_MS = 60_000;

/** The cipher of encrypted fields. */
export interface FieldCipher extends ValueCipher {
  /** Whether there is a key. */
  readonly isOn: boolean;
}

/** Creates the cipher of encrypted fields. Values that it can't decrypt are logged. */
export function fieldCipher(
  config: Pick<Config, "dev" | "encryptionSecret">,
  platform: Platform,
  log: Pick<Log, "error">,
): FieldCipher {
  const encryption = new Encryption(encryptionSecretOf(config), platform, PURPOSE);
  let reportedAt = -Infinity;
  return {
    isOn: encryption.isOn,
    seal: (text, owner) => encryption.seal(text, owner),
    open: (sealed, owner) => {
      try {
        return encryption.open(sealed, owner);
      } catch (error) {
        const now = platform.monotonic();
        if (now - reportedAt < REPORT_MS) return null;
        reportedAt = now;
        const message = "an encrypted field can't be decrypted, and is read as null";
        log.error(message, error, { row: owner });
        return null;
      }
    },
  };
}

/** @throws PylonStartError if the app has encrypted fields, but there is no key */
export function requireEncryptionKey(
  { schema }: Pick<DataModel, "schema">,
  { isOn }: FieldCipher,
): void {
  const entity = schema.entities.find(({ isEncrypted }) => isEncrypted);
  if (entity === undefined || isOn) return;
  throw new PylonStartError(
    `${entity.name} has encrypted fields, but there is no key to encrypt with. ` +
      "Set PYLON_SSO_ENCRYPTION_KEY to a random text of at least 32 characters.",
  );
}

/**
 * Checks that the stored values can be decrypted: with another key, readers would lose all of them.
 *
 * @throws PylonStartError if they were encrypted with another key
 */
export async function checkEncryptionKey(
  store: Pick<Store, "select">,
  { schema }: Pick<DataModel, "schema">,
  cipher: FieldCipher,
): Promise<void> {
  for (const { name, fields } of schema.entities) {
    for (const { name: field, kind } of fields.values()) {
      if (kind !== "encrypted") continue;
      const [row] = await store.select({ entity: name, where: isSet(field), limit: 1 });
      const value = row?.[field];
      if (row === undefined || !isSealed(value)) continue;
      if (cipher.open(value.slice(SEALED.length), row.id) === null)
        throw new PylonStartError(
          `${name}.${field} of the row "${row.id}" was encrypted with another key. ` +
            "Set PYLON_SSO_ENCRYPTION_KEY to the key that this database was written with.",
        );
    }
  }
}

function isSet(field: string): Expr {
  return { kind: "compare", op: "!=", left: path("data", field), right: literal(null) };
}
