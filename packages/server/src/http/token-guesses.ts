import {
  MAX_WRONG_ADMIN_TOKENS,
  PylonError,
  WRONG_ADMIN_TOKENS_SECONDS,
} from "@pylonsync/protocol";
import type { Log } from "../observe/log.ts";
import { currentOperation } from "../observe/operation.ts";
import { networkOf } from "../request/network.ts";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";

/** The form of the tokens that this server makes: a client with an old one guesses nothing. */
const OWN_TOKEN = /^(?:[a-z]+_)?[\w-]{43}$|^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Bounds guesses at the admin token, which opens everything: an address that has sent too many
 * wrong ones is not taken for the admin, even with the right one, until the window has passed.
 * Other callers behind the same address are served as before.
 */
export class TokenGuesses {
  readonly #limiter: RateLimiter;
  readonly #log: Log;

  constructor(log: Log, shared: SharedCount | null) {
    this.#log = log;
    this.#limiter = new RateLimiter(
      { max: MAX_WRONG_ADMIN_TOKENS, windowSeconds: WRONG_ADMIN_TOKENS_SECONDS },
      shared,
    );
  }

  /**
   * A token was not known. The log hears of the first and of the last one that is let through, and
   * never of the token.
   *
   * @param isForAdmin what it was sent to is the admin's alone
   * @throws PylonError RATE_LIMITED
   */
  async wrong(token: string, isForAdmin: boolean, address: string): Promise<void> {
    if (!isForAdmin && OWN_TOKEN.test(token)) return;
    const network = networkOf(address);
    const used = await this.#limiter.used(network);
    if (used === 0) this.#log.warn("wrong token", { address, where: currentOperation()?.where });
    if (used === MAX_WRONG_ADMIN_TOKENS - 1)
      this.#log.warn(
        "too many wrong tokens: the admin token is temporarily rejected from this address",
        {
          address,
          wrong_tokens: MAX_WRONG_ADMIN_TOKENS,
          window_secs: WRONG_ADMIN_TOKENS_SECONDS,
        },
      );
    await this.#limiter.count(() => network);
  }

  /** Before a caller is the admin. @throws PylonError RATE_LIMITED */
  async check(address: string): Promise<void> {
    if (!(await this.#limiter.isFull(networkOf(address)))) return;
    throw new PylonError("RATE_LIMITED", "Too many wrong tokens came from this address.", {
      hint: `Try again in ${WRONG_ADMIN_TOKENS_SECONDS} s.`,
      extra: { retry_after_secs: WRONG_ADMIN_TOKENS_SECONDS },
    });
  }
}
