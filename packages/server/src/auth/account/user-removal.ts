import { literal, path, pathsOf, type Expr } from "@pylonsync/query";
import type { CascadeDelete } from "../../data/commit.ts";
import type { DataModel } from "../../data/model.ts";
import type { Entity } from "../../schema/schema.ts";
import type { Store, StoredRow, Transaction } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { ApiKeys } from "../api-keys/api-keys.ts";
import type { Organizations } from "../organizations/organizations.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Users } from "../users/users.ts";
import { fieldIs } from "../security/where.ts";

/** Tables whose primary key is the id of the user. */
const BY_ID = [
  SYSTEM_TABLES.passwords,
  SYSTEM_TABLES.totp,
  SYSTEM_TABLES.verifiedEmails,
  SYSTEM_TABLES.userClaims,
];
const BY_USER = [
  SYSTEM_TABLES.accounts,
  SYSTEM_TABLES.backupCodes,
  SYSTEM_TABLES.trustedDevices,
  SYSTEM_TABLES.passkeys,
];
const { codes: CODES, oneTimeTokens: TOKENS } = SYSTEM_TABLES;

/** The services that store data about users outside of the app's entity. */
export interface UserRemovalServices {
  readonly store: Store;
  readonly model: () => DataModel;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly organizations: Organizations;
}

/**
 * Deletes what Pylon stores about a user besides the app's row, in the transaction that deletes the
 * row, whatever deletes it: a deleted user has no session, no key and no way to sign in.
 */
export class UserRemoval implements CascadeDelete {
  readonly #services: UserRemovalServices;
  /**
   * The position up to which the change log contains no data of deleted users. It is not stored, so
   * each start checks the log again.
   */
  #checkedUpTo = 0;

  constructor(services: UserRemovalServices) {
    this.#services = services;
  }

  readonly concerns = (entity: string): boolean => entity === this.#services.users.entityName;

  readonly delete = async (tx: Transaction, { id, email }: StoredRow): Promise<void> => {
    const { sessions, apiKeys, organizations } = this.#services;
    await sessions.revokeAll(tx, id);
    await apiKeys.revokeAll(tx, id);
    for (const table of BY_ID) await table.delete(tx, id);
    for (const { name } of BY_USER) await tx.deleteWhere(name, fieldIs("userId", id));
    const address = typeof email === "string" ? email : null;
    await organizations.forgetIn(tx, id, address);
    await TOKENS.deleteWhere(tx, hasInData(id));
    if (address === null) return;
    await TOKENS.deleteWhere(tx, hasInData(address));
    await CODES.deleteWhere(tx, CODES.is("data", address));
  };

  /**
   * Removes the contents of deleted users' rows from the change log, except what decides who is
   * notified of the deletion.
   */
  async forgetImages(): Promise<void> {
    const { users } = this.#services;
    if (users.isDeclared)
      this.#checkedUpTo = await this.forgetDeleted(users.entity, this.#checkedUpTo);
  }

  /**
   * Does the same for any entity.
   *
   * @param after only rows that were deleted after this change
   * @returns the newest change that was checked
   */
  forgetDeleted({ name, fields }: Entity, after: number): Promise<number> {
    const { store, model } = this.#services;
    const { policies } = model();
    const needed = new Set([
      ...pathsOf(policies.rule(name, "read"), "data"),
      ...policies.readersOf(name).flatMap(({ exists }) => [...pathsOf(exists, "related")]),
    ]);
    return store.forgetDeleted(
      name,
      [...fields.keys()].filter((field) => !needed.has(field)),
      after,
    );
  }
}

/** The data of tokens is JSON. */
function hasInData(text: string): Expr {
  return { kind: "contains", text: path("data", "data"), part: literal(JSON.stringify(text)) };
}
