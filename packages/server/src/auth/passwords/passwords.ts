import { PylonError } from "@pylonsync/protocol";
import pLimit from "p-limit";
import type { Platform } from "../../platform.ts";
import type { Store, StoredRow } from "../../store/store.ts";
import { transactById } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import type { Users } from "../users/users.ts";

const PASSWORDS = SYSTEM_TABLES.passwords;
/**
 * What OWASP asks of argon2id: 19 MiB, two passes. Tens of milliseconds, in memory that a small
 * container has.
 */
const ARGON2 = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;
/** Hashes that are made at the same time, each in 19 MiB. */
const CONCURRENCY = 4;
const MAX_WAITING = 200;
const MIN_LENGTH = 8;
const MAX_LENGTH = 256;

/** What passwords need of the app's users. */
type UserRows = Pick<Users, "entity" | "get" | "has" | "update">;

/** Checks, keeps and compares passwords. */
export class Passwords {
  readonly #store: Store;
  readonly #users: UserRows;
  readonly #limit = pLimit(CONCURRENCY);
  /** A hash that no password has: to compare with it takes as long as with a real one. */
  #nobodys: Promise<string> | undefined;
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
        hint: `Take ${MIN_LENGTH} characters or more that nobody would guess.`,
      });
    const plain = normalised(password);
    if (plain.length < MIN_LENGTH) throw weak(`A password has ${MIN_LENGTH} characters at least.`);
    if (plain.length > MAX_LENGTH) throw weak(`A password has ${MAX_LENGTH} characters at most.`);
    const known = plain.toLowerCase();
    if (
      known === email?.toLowerCase() ||
      known === email?.split("@")[0]?.toLowerCase() ||
      (await commonPasswords()).has(known)
    )
      throw weak("This password is among the first that an attacker tries.");
  }

  /** @throws PylonError OVERLOADED when too many wait */
  hash(password: string): Promise<string> {
    return this.#run(() => Bun.password.hash(normalised(password), ARGON2));
  }

  /**
   * Whether it is the user's password. Takes as long for a user who has none, and for nobody
   * (null).
   */
  async matches(user: StoredRow | null, password: string): Promise<boolean> {
    const kept = user === null ? null : await this.#hashOf(user);
    const compared = kept ?? (await (this.#nobodys ??= this.hash(this.#randomText())));
    return (await this.isSame(compared, password)) && kept !== null;
  }

  /** Whether a hash of `hash` was made of this password. */
  isSame(hash: string, password: string): Promise<boolean> {
    return this.#run(() =>
      Bun.password.verify(normalised(password).slice(0, MAX_LENGTH + 1), hash).catch(() => false),
    );
  }

  /** Whether the user has a password. */
  async has(user: StoredRow): Promise<boolean> {
    return (await this.#hashOf(user)) !== null;
  }

  /** Makes it the user's password. */
  async keep(user: StoredRow, hash: string): Promise<void> {
    if (this.#users.has("passwordHash")) return this.#users.update(user.id, { passwordHash: hash });
    await transactById(this.#store, (tx) => PASSWORDS.put(tx, { id: user.id, hash }));
  }

  /** The user has no password from now on. */
  async forget(userId: string): Promise<void> {
    await transactById(this.#store, (tx) => PASSWORDS.delete(tx, userId));
    if (this.#users.has("passwordHash") && (await this.#users.get(userId))?.["passwordHash"]) {
      await this.#users.update(userId, {
        passwordHash: this.#users.entity.fields.get("passwordHash")?.optional === true ? null : "",
      });
    }
  }

  async #hashOf(user: StoredRow): Promise<string | null> {
    const inRow = user["passwordHash"];
    if (typeof inRow === "string" && inRow !== "") return inRow;
    return (await PASSWORDS.get(this.#store, user.id))?.hash ?? null;
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#limit.pendingCount >= MAX_WAITING)
      throw new PylonError("OVERLOADED", "Too many sign-ins at this moment.", {
        hint: "Try again in some seconds.",
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

/**
 * The same characters, whichever keyboard they come from. One character may become many, so what is
 * checked is this form.
 */
function normalised(password: string): string {
  return password.normalize("NFKC");
}

let common: Promise<ReadonlySet<string>> | undefined;

/** Fifty thousand passwords that were found in leaks; read when it is first asked for. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  return (common ??= import("@zxcvbn-ts/language-common").then(
    ({ dictionary }) => new Set(dictionary["passwords-common"]),
  ));
}
