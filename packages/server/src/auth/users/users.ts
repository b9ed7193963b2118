import { createIdFactory, PylonError } from "@pylonsync/protocol";
import { and, type Expr } from "@pylonsync/query";
import type { AuthHooks, ManifestAuth } from "@pylonsync/sdk";
import { ANONYMOUS, type Caller } from "../../identity/identity.ts";
import type { Committer } from "../../data/commit.ts";
import type { DataModel } from "../../data/model.ts";
import type { Platform } from "../../platform.ts";
import { normaliseEmail } from "../../schema/email-address.ts";
import { isServerWritten, type Entity } from "../../schema/schema.ts";
import type { Reader, Store, StoredRow, Transaction, Value } from "../../store/store.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { avatarColorOf } from "./avatar-color.ts";
import { fieldIs } from "../security/where.ts";

const VERIFIED = SYSTEM_TABLES.verifiedEmails;
/**
 * The value of a required field `passwordHash`, which stores no hash: no password matches it.
 * Earlier versions, which may use the same database for a while, also treat it as "none".
 */
export const BLANK_HASH = "";
/** The fields of a user entity that Pylon fills if they are declared, by their contents. */
const NAMES = ["displayName", "name"] as const;
const AVATARS = ["avatar", "avatarUrl", "image"] as const;

/** What is known about somebody who signs up. */
export interface Profile {
  /**
   * The guest that becomes this user: it keeps its id, so that its rows remain its own, and its
   * sessions end.
   */
  readonly guestId?: string | undefined;
  readonly email?: string | undefined;
  readonly emailVerified?: boolean | undefined;
  readonly displayName?: string | undefined;
  /** A URL. */
  readonly avatar?: string | undefined;
}

/** The dependencies of the app's users. */
export interface UsersOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly sessions: Sessions;
  readonly model: () => DataModel;
  readonly settings: () => ManifestAuth;
  readonly hooks: () => AuthHooks;
  readonly platform: Platform;
}

/** Returns the name of the entity whose rows are an app's users, even if it is not declared. */
export function userEntityOf({ user }: ManifestAuth): string {
  return user?.entity ?? "User";
}

/**
 * The app's users: rows of its own user entity, which is `User` unless `auth({ user: { entity } })`
 * names another.
 */
export class Users {
  readonly #options: UsersOptions;
  readonly #newId: () => string;

  constructor(options: UsersOptions) {
    this.#options = options;
    this.#newId = createIdFactory(options.platform.now, options.platform.random);
  }

  /** The current name of the user entity, whether the app declares it or not. */
  get entityName(): string {
    return this.#declared?.name ?? userEntityOf(this.#options.settings());
  }

  /** Whether the app declares the user entity. */
  get isDeclared(): boolean {
    return this.#declared !== undefined;
  }

  /** @throws PylonError NO_USER_ENTITY */
  get entity(): Entity {
    const entity = this.#declared;
    if (entity !== undefined) return entity;
    const name = this.entityName;
    throw new PylonError(
      "NO_USER_ENTITY",
      `The user entity "${name}" does not exist in this app.`,
      {
        hint:
          `Declare entity("${name}", { email: field.string().unique() }), ` +
          "or name another entity with auth({ user: { entity } }).",
      },
    );
  }

  get #declared(): Entity | undefined {
    return this.#options.model().schema.find(userEntityOf(this.#options.settings()));
  }

  /** Whether the entity has this field. */
  has(field: string): boolean {
    return this.entity.fields.has(field);
  }

  /** Returns the user with this id, or null. */
  async get(id: string, reader: Reader = this.#options.store): Promise<StoredRow | null> {
    const { name, sealing } = this.entity;
    const user = await reader.get(name, id);
    return user === null ? null : sealing.opened(user);
  }

  /** Returns the user with this address; the oldest one if the app allows several. */
  findByEmail(email: string): Promise<StoredRow | null> {
    return this.#byEmail(this.#options.store, email);
  }

  /** Whether it is verified that the user receives mail at the address in its row. */
  async isVerified(user: StoredRow): Promise<boolean> {
    if (this.has("emailVerified")) return Boolean(user["emailVerified"]);
    const proof = await VERIFIED.get(this.#options.store, user.id);
    return proof !== null && proof.email === user["email"];
  }

  /**
   * Creates a user, and calls the app's `onSignUp`.
   *
   * @param within writes the user's related rows in the same transaction
   * @throws PylonError EMAIL_TAKEN, SIGN_UP_REFUSED, NO_USER_ENTITY, UNAUTHORIZED when the guest
   *   has already become a user, MISSING_FIELD if the entity requires more than a sign-up provides
   */
  async create(
    profile: Profile,
    method: string,
    within?: (tx: Transaction, user: StoredRow) => Promise<void>,
  ): Promise<StoredRow> {
    const { committer, hooks, sessions } = this.#options;
    const { name } = this.entity;
    const { guestId } = profile;
    const id = guestId ?? this.#newId();
    const given = this.#fieldsOf(profile);
    const { result } = await committer.commit(
      { caller: { ...ANONYMOUS, userId: id }, policies: "bypassed" },
      async (writer) => {
        if (profile.email !== undefined && (await this.#byEmail(writer, profile.email)) !== null)
          throw emailTaken();
        if (guestId !== undefined) await sessions.claimGuest(writer.transaction, guestId);
        const existing = await writer.get(name, id);
        // A guest may already have a row, created by the app.
        if (existing === null)
          await writer.insert(name, { ...this.#defaultsOf(profile, id), ...given }, id);
        else await writer.update(name, id, given);
        const user = await writer.get(name, id);
        if (user === null) throw new Error("The user that was just written does not exist.");
        if (profile.emailVerified === true) await markEmailVerified(writer.transaction, user);
        await within?.(writer.transaction, user);
        const verdict = await hooks().onSignUp?.({ user: this.view(user), method });
        if (verdict === null || verdict === false)
          throw new PylonError("SIGN_UP_REFUSED", "The app rejected the sign-up.");
        return user;
      },
    );
    return result;
  }

  /** Changes fields of a user; fields that the entity lacks are ignored. */
  async update(id: string, patch: Readonly<Record<string, Value>>): Promise<void> {
    await this.change(id, () => Promise.resolve(patch));
  }

  /**
   * Changes a user together with its related rows, in one transaction.
   *
   * @param change receives the row as read in this transaction, or null; writes related rows, and
   *   returns the changes of the row. It may run again after a conflict.
   */
  async change(
    id: string,
    change: (tx: Transaction, user: StoredRow | null) => Promise<Readonly<Record<string, Value>>>,
  ): Promise<void> {
    const { name } = this.entity;
    await this.#options.committer.commit(
      { caller: { ...ANONYMOUS, userId: id }, policies: "bypassed" },
      async (writer) => {
        const patch = await change(writer.transaction, await writer.get(name, id));
        const known = Object.entries(patch).filter(([field]) => this.has(field));
        if (known.length > 0) await writer.update(name, id, Object.fromEntries(known));
      },
    );
  }

  /**
   * Stores that the user receives mail at this address, which becomes the user's address.
   *
   * @throws PylonError EMAIL_TAKEN
   */
  async setVerifiedEmail(id: string, email: string): Promise<void> {
    const { name } = this.entity;
    await this.#options.committer.commit(
      { caller: { ...ANONYMOUS, userId: id }, policies: "bypassed" },
      async (writer) => {
        const holder = await this.#byEmail(writer, email);
        if (holder !== null && holder.id !== id) throw emailTaken();
        await writer.update(name, id, this.#fieldsOf({ email, emailVerified: true }, false));
        const user = await writer.get(name, id);
        if (user !== null) await markEmailVerified(writer.transaction, user);
      },
    );
  }

  /**
   * Returns the user's visible fields: no hidden ones, and if `expose` is set, only those.
   *
   * @param caller who reads them; the app's own code also sees what policies hide from callers
   */
  view(user: StoredRow, caller?: Caller): StoredRow {
    const { expose } = this.#options.settings().user ?? {};
    const { entity } = this;
    const { rules } = this.#options.model();
    const visible = (caller === undefined ? entity : rules.seenBy(entity, caller)).visible(user);
    const shown = Object.entries(visible).filter(
      ([field]) => field === "id" || (expose?.includes(field) ?? true),
    );
    return { ...Object.fromEntries(shown), id: user.id };
  }

  async #byEmail(reader: Reader, email: string): Promise<StoredRow | null> {
    if (!this.has("email")) return null;
    const where: Expr = and(fieldIs("email", normaliseEmail(email)));
    const { name, sealing } = this.entity;
    const [user] = await reader.select({ entity: name, where, limit: 1 });
    return user === undefined ? null : sealing.opened(user);
  }

  /** Returns the default values of fields of a new row that its profile does not set. */
  #defaultsOf({ email }: Profile, id: string): Record<string, Value> {
    const { fields } = this.entity;
    const values: Record<string, Value> = {};
    const guess = email === undefined ? undefined : normaliseEmail(email).split("@")[0];
    for (const name of NAMES) {
      // The app may ask for another name than displayName later, so only a required field gets it.
      const field = fields.get(name);
      if (field === undefined || isServerWritten(field) || guess === undefined) continue;
      if (name === "displayName" || !field.optional) values[name] = guess;
    }
    if (fields.get("avatarColor")?.kind === "string")
      values["avatarColor"] = avatarColorOf(email === undefined ? id : normaliseEmail(email));
    // Hashes are stored elsewhere.
    const hash = fields.get("passwordHash");
    if (hash?.kind === "string" && !hash.optional) values["passwordHash"] = BLANK_HASH;
    return values;
  }

  /** @param isNew whether to set what only a new user gets */
  #fieldsOf(profile: Profile, isNew = true): Record<string, Value> {
    const { fields } = this.entity;
    const now = new Date(this.#options.platform.now()).toISOString();
    const values: Record<string, Value> = {};
    const set = (name: string, value: Value | undefined): void => {
      const field = fields.get(name);
      // The app may have the server set `createdAt`, or compute a name.
      if (value !== undefined && field !== undefined && !isServerWritten(field))
        values[name] = value;
    };
    const email = profile.email === undefined ? undefined : normaliseEmail(profile.email);
    set("email", email);
    const verifiedKind = fields.get("emailVerified")?.kind;
    const isVerified = profile.emailVerified === true;
    if (verifiedKind === "bool") set("emailVerified", isVerified);
    else if (verifiedKind !== undefined && isVerified) set("emailVerified", now);
    if (!isNew) return values;
    set("createdAt", now);
    for (const name of NAMES) set(name, profile.displayName);
    for (const name of AVATARS) if (fields.get(name)?.file === undefined) set(name, profile.avatar);
    return values;
  }
}

function markEmailVerified(tx: Transaction, { id, email }: StoredRow): Promise<void> {
  return VERIFIED.put(tx, { id, email: typeof email === "string" ? email : null });
}

function emailTaken(): PylonError {
  return new PylonError("EMAIL_TAKEN", "An account with this email address already exists.", {
    field: "email",
    hint: "Sign in, or reset the password.",
  });
}
