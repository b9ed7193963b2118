import { PylonError } from "@pylonsync/protocol";
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js";
import RateLimiterRes from "rate-limiter-flexible/lib/RateLimiterRes.js";

export interface RateLimit {
  /** Requests in a window; 0 switches the limit off. */
  readonly max: number;
  readonly windowSeconds: number;
}

/** Counts requests by key within a window. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #limiter: RateLimiterMemory | null;

  constructor(limit: RateLimit) {
    this.#limit = limit;
    this.#limiter = limit.max === 0 ? null : new RateLimiterMemory({ points: limit.max, duration: limit.windowSeconds });
  }

  get isOn(): boolean {
    return this.#limiter !== null;
  }

  /**
   * @param key asked only when there is a limit
   * @throws PylonError RATE_LIMITED with `retry_after_secs`
   */
  async count(key: () => string): Promise<void> {
    if (this.#limiter === null) return;
    try {
      await this.#limiter.consume(key());
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      const seconds = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
      throw new PylonError("RATE_LIMITED", `More than ${this.#limit.max} requests in ${this.#limit.windowSeconds} s.`, {
        hint: `Try again in ${seconds} s.`,
        extra: { retry_after_secs: seconds },
      });
    }
  }
}
