import {
  MAX_WRONG_ADMIN_TOKENS,
  PylonError,
  WRONG_ADMIN_TOKENS_SECONDS,
} from "@pylonsync/protocol";
import type { Log } from "../observe/log.ts";
import { currentOperation } from "../observe/operation.ts";
import { networkOf } from "../util/network.ts";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";

/** The format of this server's tokens: a client with an expired one does not guess. */
const OWN_TOKEN = /^(?:[a-z]+_)?[\w-]{43}$|^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * Limits guesses at the admin token, which gives full access: an address that has sent too many
 * wrong tokens is not accepted as the admin, even with the right one, until the window has passed.
 * Other callers at the same address are not affected.
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
   * Counts an unknown token. The first and the last allowed one are logged, but never the token
   * itself.
   *
   * @param isForAdmin whether only the admin may send the request
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

  /** Call this before a caller is accepted as the admin. @throws PylonError RATE_LIMITED */
  async check(address: string): Promise<void> {
    if (!(await this.#limiter.isFull(networkOf(address)))) return;
    throw new PylonError("RATE_LIMITED", "Too many wrong tokens came from this address.", {
      hint: `Try again in ${WRONG_ADMIN_TOKENS_SECONDS} s.`,
      extra: { retry_after_secs: WRONG_ADMIN_TOKENS_SECONDS },
    });
  }
}
