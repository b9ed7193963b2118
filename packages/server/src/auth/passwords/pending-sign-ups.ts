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
/** How long a sign-up waits for its code, in milliseconds. */
export const SIGN_UP_MS = CODE_MINUTES * 60_000;

/** What a sign-up keeps until its address is proved. */
export interface SignUpData {
  readonly hash: string;
  readonly displayName?: string | undefined;
}

/** What is known of the sign-ups that are under way for one address. */
interface Latest {
  /** Which one is the latest, as the subject of its code. */
  readonly subject: string;
  readonly hash: string;
  /** Others with another password are under way too. */
  readonly isAmbiguous: boolean;
}

/**
 * Sign-ups that wait for the code in the mail. Each has a token of its own, which only its browser
 * or program knows: the code in an inbox proves the address, and only together with the token whose
 * password it is. Else anyone who signs up with a stranger's address, before or after its owner,
 * would have the owner confirm a stranger's password.
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
   * @param also writes with the code in its transaction, which may run again: the mail with it
   * @returns the code for the mail, and the token for the client that asked
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
    // A person who asks again, because no mail came, has chosen the same password.
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
   * Ends a sign-up.
   *
   * @param token null from a client that knows of none: then the address must have one sign-up
   *   under way, so that the code says which it is
   * @throws PylonError INVALID_CODE, RATE_LIMITED
   */
  async confirm(email: string, code: string, token: string | null): Promise<SignUpData> {
    const subject = token === null ? await this.#onlyOne(email) : keyOf(email, token);
    const data: SignUpData = JSON.parse(await this.#codes.take(SIGN_UP, subject, code, email));
    await transactById(this.#store, (tx) => CODES.delete(tx, keyOf(SIGN_UPS_OF, email)));
    return data;
  }

  /** Whether the token is that of a sign-up with this address that is under way. */
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
