import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../../platform.ts";
import type { Store, Transaction } from "../../store/store.ts";
import { transactById, type RowOf } from "../../store/system-table.ts";
import { SYSTEM_TABLES } from "../../store/system-tables.ts";
import { AttemptLimits } from "./attempt-limits.ts";
import { KeyLock } from "./key-lock.ts";
import { isSameHash, keyOf } from "./secrets.ts";

const CODES = SYSTEM_TABLES.codes;
const LIFETIME_MS = 10 * 60_000;
const COOL_DOWN_MS = 60_000;
const MAX_ATTEMPTS = 5;
const DIGITS = 6;
/**
 * Counted over all consecutive codes: otherwise each new one would give a guesser five more
 * attempts.
 */
const GUESSES = { max: 20, windowSeconds: 3 * 60 * 60 };

/** The lifetime of a code, in minutes. */
export const CODE_MINUTES = LIFETIME_MS / 60_000;

type Outcome = { readonly data: string } | "spent" | "wrong";

/**
 * Six-digit codes that a person copies from a mail. A code is valid for 10 minutes and 5 attempts.
 * At most 20 attempts are allowed in three hours, and the next code can be issued after 60 seconds.
 */
export class OneTimeCodes {
  readonly #store: Store;
  readonly #platform: Platform;
  readonly #attempts: AttemptLimits;
  readonly #lock = new KeyLock();

  constructor(store: Store, platform: Platform, attempts = new AttemptLimits(store, platform)) {
    this.#store = store;
    this.#platform = platform;
    this.#attempts = attempts;
  }

  /**
   * Creates a code, which invalidates the one before it.
   *
   * @param purpose what it proves
   * @param subject whom it is for: an address or a user's id
   * @param data JSON text that is returned when the code is used
   * @param also runs in the same transaction, which may be retried: it adds the mail with the code
   * @throws PylonError RATE_LIMITED within the cool-down
   */
  issue(
    purpose: string,
    subject: string,
    data = "",
    also: (tx: Transaction, code: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<string> {
    const id = keyOf(purpose, subject);
    const code = this.#newCode();
    return this.#lock.run(id, () =>
      transactById(this.#store, async (tx) => {
        const now = this.#platform.now();
        const before = await CODES.get(tx, id);
        const waitMs = before === null ? 0 : before.sentAt + COOL_DOWN_MS - now;
        // A longer wait is due to a code that was sent before the clock was set back.
        if (waitMs > 0 && waitMs <= 2 * COOL_DOWN_MS)
          throw tooMany(Math.ceil(waitMs / 1000), "A code was sent a moment ago.");
        const row = {
          codeHash: keyOf(id, code),
          data,
          attempts: 0,
          sentAt: now,
          expiresAt: now + LIFETIME_MS,
        };
        if (before === null) await CODES.insert(tx, { id, ...row });
        else await CODES.update(tx, id, row);
        await also(tx, code);
        return code;
      }),
    );
  }

  /**
   * Consumes a code.
   *
   * @param email the address that the code is mailed to, if that is not the subject: guesses for it
   *   are counted together, over all accounts
   * @returns the data that it was created with
   * @throws PylonError INVALID_CODE, RATE_LIMITED after the last attempt
   */
  async take(purpose: string, subject: string, code: string, email = subject): Promise<string> {
    const id = keyOf(purpose, subject);
    const outcome = await this.#lock.run(id, async (): Promise<Outcome> => {
      // If no code is pending, or it has no attempts left, a guess reveals nothing, so it must not
      // use up the owner's attempts.
      const state = this.#stateOf(await CODES.get(this.#store, id));
      if (state !== "open") return state;
      await this.#attempts.count(`guess: ${purpose}`, email, GUESSES);
      return transactById(this.#store, async (tx): Promise<Outcome> => {
        const row = await CODES.get(tx, id);
        if (row === null) return "wrong";
        const now = this.#stateOf(row);
        if (now !== "open") return now;
        if (isSameHash(row.codeHash, keyOf(id, code.trim()))) {
          await CODES.delete(tx, id);
          return { data: row.data };
        }
        await CODES.update(tx, id, { attempts: row.attempts + 1 });
        return "wrong";
      });
    });
    if (outcome === "spent")
      throw tooMany(
        COOL_DOWN_MS / 1000,
        "There were too many attempts with this code.",
        "Request a new code.",
      );
    if (typeof outcome === "string")
      throw new PylonError("INVALID_CODE", "This code is wrong, has been used or has expired.", {
        field: "code",
        hint: "Request a new code.",
      });
    await this.#attempts.forget(`guess: ${purpose}`, email);
    return outcome.data;
  }

  /** Returns the data of a code without consuming it, or null if there is no code. */
  async dataOf(purpose: string, subject: string): Promise<string | null> {
    const row = await CODES.get(this.#store, keyOf(purpose, subject));
    return row === null || this.#stateOf(row) === "wrong" ? null : row.data;
  }

  /** Deletes expired codes. */
  forgetExpired(): Promise<number> {
    return this.#store.transact((tx) =>
      CODES.deleteWhere(tx, CODES.isUpTo("expiresAt", this.#platform.now())),
    );
  }

  #stateOf(row: RowOf<typeof CODES> | null): "open" | "spent" | "wrong" {
    if (row === null || row.expiresAt <= this.#platform.now()) return "wrong";
    return row.attempts >= MAX_ATTEMPTS ? "spent" : "open";
  }

  /** All codes are equally likely: a number above the largest multiple is drawn again. */
  #newCode(): string {
    const range = 10 ** DIGITS;
    const bytes = new Uint8Array(4);
    for (;;) {
      this.#platform.random(bytes);
      const number = new DataView(bytes.buffer).getUint32(0);
      if (number < Math.floor(2 ** 32 / range) * range)
        return String(number % range).padStart(DIGITS, "0");
    }
  }
}

function tooMany(
  seconds: number,
  message: string,
  hint = `Try again in ${seconds} s.`,
): PylonError {
  return new PylonError("RATE_LIMITED", message, { hint, extra: { retry_after_secs: seconds } });
}
