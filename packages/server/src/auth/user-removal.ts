import type { Belongings } from "../data/commit.ts";
import type { StoredRow, Transaction } from "../store/store.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";
import type { ApiKeys } from "./api-keys/api-keys.ts";
import type { Organizations } from "./organizations/organizations.ts";
import type { Sessions } from "./sessions.ts";
import type { Users } from "./users.ts";
import { fieldIs } from "./where.ts";

const BY_ID = [SYSTEM_TABLES.passwords, SYSTEM_TABLES.totp, SYSTEM_TABLES.verifiedEmails];
const BY_USER = [SYSTEM_TABLES.accounts, SYSTEM_TABLES.backupCodes, SYSTEM_TABLES.trustedDevices, SYSTEM_TABLES.passkeys];

export interface UserRemovalServices {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly organizations: Organizations;
}

/**
 * What Pylon keeps of a user beside the row of the app. It goes in the transaction that deletes the row, whoever does that: a user who is no more
 * has no session, no key and no way in.
 */
export class UserRemoval implements Belongings {
  readonly #services: UserRemovalServices;

  constructor(services: UserRemovalServices) {
    this.#services = services;
  }

  readonly entity = (): string => this.#services.users.entityName;

  readonly delete = async (tx: Transaction, { id, email }: StoredRow): Promise<void> => {
    const { sessions, apiKeys, organizations } = this.#services;
    await sessions.endAllIn(tx, id);
    await apiKeys.endAllIn(tx, id);
    for (const { name } of BY_ID) await tx.delete(name, id);
    for (const { name } of BY_USER) await tx.deleteWhere(name, fieldIs("userId", id));
    await organizations.forgetIn(tx, id, typeof email === "string" ? email : null);
  };
}
