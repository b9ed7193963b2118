import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { CODE_MINUTES, type OneTimeCodes } from "../security/one-time-codes.ts";
import type { Passwords } from "./passwords.ts";
import { keyOf, newToken } from "../security/secrets.ts";

const CODES = SYSTEM_TABLES.codes;
const SIGN_UP = "sign-up";
const SIGN_UPS_OF = "sign-ups of";
/** The time for which a sign-up waits for its code, in milliseconds. */
export const SIGN_UP_MS = CODE_MINUTES * 60_000;

/** The data of a sign-up that is stored until its address is verified. */
export interface SignUpData {
  readonly hash: string;
  readonly displayName?: string | undefined;
}

/** What is stored about the pending sign-ups of one address. */
interface Latest {
  /** The subject of the latest sign-up's code. */
  readonly subject: string;
  readonly hash: string;
  /** Whether others with another password are pending too. */
  readonly isAmbiguous: boolean;
}

/**
 * Sign-ups that wait for the code in the mail. Each has its own token, which only its browser or
 * program knows: the code in an inbox verifies the address, but only together with the token of the
 * sign-up that set the password. Otherwise, anyone who signs up with a stranger's address, before
 * or after its owner, could have the owner confirm the stranger's password.
 */
export class PendingSignUps {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #codes: OneTimeCodes;
  readonly #passwords: Pick<Passwords, "isSame">;

  constructor(
    store: Store,
    platform: Platform,
    codes: OneTimeCodes,
    passwords: Pick<Passwords, "isSame">,
  ) {
    this.#store = store;
    this.#platform = platform;
    this.#codes = codes;
    this.#passwords = passwords;
  }

  /**
   * @param also runs in the same transaction, which may be retried: it adds the mail with the code
   * @returns the code for the mail, and the token for the requesting client
   */
  async begin(
    email: string,
    password: string,
    data: SignUpData,
    also: (tx: Transaction, code: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<{ readonly code: string; readonly token: string }> {
    const token = newToken(this.#platform);
    const subject = keyOf(email, token);
    const id = keyOf(SIGN_UPS_OF, email);
    const before = this.#latest(await CODES.get(this.#store, id));
    // A person who requests the mail again, because none arrived, has chosen the same password.
    const isSamePerson =
      before === null ||
      (!before.isAmbiguous && (await this.#passwords.isSame(before.hash, password)));
    await transactById(this.#store, async (tx) => {
      const row = await CODES.get(tx, id);
      const isUnchanged = this.#latest(row)?.subject === before?.subject;
      const latest: Latest = {
        subject,
        hash: data.hash,
        isAmbiguous: !isSamePerson || !isUnchanged,
      };
      const now = this.#platform.now();
      const values = {
        codeHash: "",
        data: JSON.stringify(latest),
        attempts: 0,
        sentAt: now,
        expiresAt: now + SIGN_UP_MS,
      };
      if (row === null) await CODES.insert(tx, { id, ...values });
      else await CODES.update(tx, id, values);
    });
    return { code: await this.#codes.issue(SIGN_UP, subject, JSON.stringify(data), also), token };
  }

  /**
   * Completes a sign-up.
   *
   * @param token null from a client without one: then the address must have exactly one pending
   *   sign-up, so that the code identifies it
   * @throws PylonError INVALID_CODE, RATE_LIMITED
   */
  async confirm(email: string, code: string, token: string | null): Promise<SignUpData> {
    const subject = token === null ? await this.#onlyOne(email) : keyOf(email, token);
    const data: SignUpData = JSON.parse(await this.#codes.take(SIGN_UP, subject, code, email));
    await transactById(this.#store, (tx) => CODES.delete(tx, keyOf(SIGN_UPS_OF, email)));
    return data;
  }

  /** Whether the token belongs to a pending sign-up with this address. */
  async isKnown(email: string, token: string): Promise<boolean> {
    return (await this.#codes.dataOf(SIGN_UP, keyOf(email, token))) !== null;
  }

  async #onlyOne(email: string): Promise<string> {
    const latest = this.#latest(await CODES.get(this.#store, keyOf(SIGN_UPS_OF, email)));
    if (latest?.isAmbiguous === true)
      throw new PylonError("INVALID_CODE", "Several sign-ups with this address are pending.", {
        field: "sign_up_token",
        hint: "Also send the sign_up_token from the response to your sign-up.",
      });
    return latest?.subject ?? keyOf(email, "");
  }

  #latest(row: RowOf<typeof CODES> | null): Latest | null {
    return row === null || row.expiresAt <= this.#platform.now() ? null : JSON.parse(row.data);
  }
}
