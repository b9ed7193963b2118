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

/** Whose rows have the id of their user. */
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

/** What knows of users beside the row of the app. */
export interface UserRemovalServices {
  readonly store: Store;
  readonly model: () => DataModel;
  readonly users: Users;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly organizations: Organizations;
}

/**
 * What Pylon keeps of a user beside the row of the app. It goes in the transaction that deletes the
 * row, by any way: a user who no longer exists has no session, no key and no way in.
 */
export class UserRemoval implements CascadeDelete {
  readonly #services: UserRemovalServices;
  /**
   * Up to here the log has nothing left of users who were deleted. Forgotten at each start, and
   * then looked at again.
   */
  #looked = 0;

  constructor(services: UserRemovalServices) {
    this.#services = services;
  }

  readonly entity = (): string => this.#services.users.entityName;

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
   * What was in the rows of users who no longer exist is left in the log only as far as it decides
   * who is told that they are gone.
   */
  async forgetImages(): Promise<void> {
    const { users } = this.#services;
    if (users.isDeclared) this.#looked = await this.forgetDeleted(users.entity, this.#looked);
  }

  /**
   * The same of any entity.
   *
   * @param after only rows that were deleted after this change
   * @returns the newest change that was looked at
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
