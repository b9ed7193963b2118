import { PylonError } from "@pylonsync/protocol";
import pLimit from "p-limit";
import type { Platform } from "../../platform.ts";
import type { Reader, Store, StoredRow, Transaction, Value } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { BLANK_HASH, type Users } from "../users/users.ts";

const PASSWORDS = SYSTEM_TABLES.passwords;
/**
 * OWASP's parameters for argon2id: 19 MiB, two passes. This takes tens of milliseconds, in memory
 * that a small container has.
 */
const ARGON2 = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;
/** The number of hashes that are computed at the same time, each in 19 MiB. */
const CONCURRENCY = 4;
const MAX_WAITING = 200;
const MIN_LENGTH = 8;
const MAX_LENGTH = 256;

const FIELD = "passwordHash";

/** The methods of the app's users that passwords need. */
type UserRows = Pick<Users, "entity" | "change" | "has">;

/**
 * Checks, stores and compares passwords. Their hashes are in a system table, where no policy and no
 * function can expose them. A hash in the field `passwordHash` of the user's row was put there by
 * an earlier version, by the admin or by a function: it is accepted, and moved at its first match.
 */
export class Passwords {
  readonly #store: Store;
  readonly #users: UserRows;
  readonly #limit = pLimit(CONCURRENCY);
  /** A hash that no password has: a comparison with it takes as long as with a real one. */
  #dummyHash: Promise<string> | undefined;
  readonly #platform: Platform;

  constructor(store: Store, users: UserRows, platform: Platform) {
    this.#store = store;
    this.#users = users;
    this.#platform = platform;
  }

  /** @throws PylonError WEAK_PASSWORD */
  async check(password: string, email?: string): Promise<void> {
    const weak = (message: string): PylonError =>
      new PylonError("WEAK_PASSWORD", message, {
        field: "password",
        hint: `Choose a password of at least ${MIN_LENGTH} characters that is hard to guess.`,
      });
    const plain = normalised(password);
    if (plain.length < MIN_LENGTH)
      throw weak(`The password must have at least ${MIN_LENGTH} characters.`);
    if (plain.length > MAX_LENGTH)
      throw weak(`The password may have at most ${MAX_LENGTH} characters.`);
    const known = plain.toLowerCase();
    if (
      known === email?.toLowerCase() ||
      known === email?.split("@")[0]?.toLowerCase() ||
      (await commonPasswords()).has(known)
    )
      throw weak("This password is too common.");
  }

  /** @throws PylonError OVERLOADED when too many hashes are waiting */
  hash(password: string): Promise<string> {
    return this.#run(() => Bun.password.hash(normalised(password), ARGON2));
  }

  /**
   * Whether it is the user's password. This takes as long for a user who has none, and without a
   * user (null).
   */
  async matches(user: StoredRow | null, password: string): Promise<boolean> {
    const inRow = user === null ? null : hashIn(user);
    const kept = inRow ?? (user === null ? null : await this.#keptHash(user.id));
    const compared = kept ?? (await (this.#dummyHash ??= this.hash(this.#randomText())));
    const isRight = (await this.isSame(compared, password)) && kept !== null;
    if (isRight && user !== null && inRow !== null) await this.#move(user.id, inRow);
    return isRight;
  }

  /** Whether `hash` is the hash of this password. */
  isSame(hash: string, password: string): Promise<boolean> {
    return this.#run(() =>
      Bun.password.verify(normalised(password).slice(0, MAX_LENGTH + 1), hash).catch(() => false),
    );
  }

  /** Whether the user has a password. */
  async has(user: StoredRow, reader: Reader = this.#store): Promise<boolean> {
    return hashIn(user) !== null || (await this.#keptHash(user.id, reader)) !== null;
  }

  /** Sets the user's password. */
  async keep({ id }: StoredRow, hash: string): Promise<void> {
    await this.#write(id, async (tx) => PASSWORDS.put(tx, { id, hash }));
  }

  /** Deletes the user's password. */
  async forget(userId: string): Promise<void> {
    await this.#write(userId, (tx) => PASSWORDS.delete(tx, userId));
  }

  /** Writes the table, and clears the field of the row if the entity has it. */
  async #write(userId: string, write: (tx: Transaction) => Promise<unknown>): Promise<void> {
    if (!this.#users.has(FIELD)) {
      await transactById(this.#store, write);
      return;
    }
    await this.#users.change(userId, async (tx, user) => {
      await write(tx);
      return user === null || hashIn(user) === null ? {} : this.#emptied();
    });
  }

  /** A hash that was changed in the meantime is not moved. */
  async #move(userId: string, hash: string): Promise<void> {
    await this.#users.change(userId, async (tx, user) => {
      if (user === null || hashIn(user) !== hash) return {};
      await PASSWORDS.put(tx, { id: userId, hash });
      return this.#emptied();
    });
  }

  #emptied(): Readonly<Record<string, Value>> {
    const isOptional = this.#users.entity.fields.get(FIELD)?.optional === true;
    return { [FIELD]: isOptional ? null : BLANK_HASH };
  }

  async #keptHash(userId: string, reader: Reader = this.#store): Promise<string | null> {
    return (await PASSWORDS.get(reader, userId))?.hash ?? null;
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#limit.pendingCount >= MAX_WAITING)
      throw new PylonError("OVERLOADED", "Too many sign-ins at the moment.", {
        hint: "Try again in a few seconds.",
        extra: { retry_after_secs: 5 },
      });
    return this.#limit(work);
  }

  #randomText(): string {
    const bytes = new Uint8Array(32);
    this.#platform.random(bytes);
    return Buffer.from(bytes).toString("base64url");
  }
}

function hashIn(user: StoredRow): string | null {
  const value = user[FIELD];
  return typeof value === "string" && value !== BLANK_HASH ? value : null;
}

/**
 * Normalises the characters, so that they do not depend on the keyboard. One character may become
 * many, so the checks use this form.
 */
function normalised(password: string): string {
  return password.normalize("NFKC");
}

let common: Promise<ReadonlySet<string>> | undefined;

/** Fifty thousand passwords that were found in leaks; they are loaded on first use. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  return (common ??= import("@zxcvbn-ts/language-common").then(
    ({ dictionary }) => new Set(dictionary["passwords-common"]),
  ));
}
