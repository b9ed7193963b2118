import { PylonError } from "@pylonsync/protocol";
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js";
import RateLimiterRedis from "rate-limiter-flexible/lib/RateLimiterRedis.js";
import RateLimiterRes from "rate-limiter-flexible/lib/RateLimiterRes.js";
import type { Redis } from "../cache/redis.ts";
import type { RateLimit } from "../config/config.ts";

/** The Redis connection with which replicas count together. */
export interface SharedCount {
  readonly redis: Redis;
  /** Distinguishes this limit's keys from those of others. */
  readonly name: string;
}

const UNLIMITED = Promise.resolve();

/**
 * Counts requests by key within a window: in the process, or in Redis for all replicas. While the
 * connection to Redis is lost, each replica counts alone.
 */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #limiter: RateLimiterMemory | RateLimiterRedis | null;
  /** The number of rejected requests since the start. */
  refused = 0;

  constructor(limit: RateLimit, shared: SharedCount | null = null) {
    this.#limit = limit;
    this.#limiter = limit.max === 0 ? null : limiterOf(limit, shared);
  }

  get isOn(): boolean {
    return this.#limiter !== null;
  }

  /** Returns how much of its window the key has used. Counts nothing. */
  async used(key: string): Promise<number> {
    const used = await this.#limiter?.get(key);
    return used?.consumedPoints ?? 0;
  }

  /** Whether the key has used up its window. Counts nothing. */
  async isFull(key: string): Promise<boolean> {
    return this.isOn && (await this.used(key)) >= this.#limit.max;
  }

  /**
   * @param key called only if there is a limit
   * @param amount how much the request counts
   * @throws PylonError RATE_LIMITED with `retry_after_secs` and `limit`
   */
  count(key: () => string, amount = 1): Promise<void> {
    return this.#limiter === null ? UNLIMITED : this.#count(this.#limiter, key(), amount);
  }

  async #count(
    limiter: RateLimiterMemory | RateLimiterRedis,
    key: string,
    amount: number,
  ): Promise<void> {
    try {
      await limiter.consume(key, amount);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      this.refused += 1;
      const seconds = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
      throw new PylonError(
        "RATE_LIMITED",
        `More than ${this.#limit.max} requests in ${this.#limit.windowSeconds} s.`,
        {
          hint: `Try again in ${seconds} s.`,
          extra: { retry_after_secs: seconds, limit: this.#limit.max },
        },
      );
    }
  }
}

function limiterOf(
  { max, windowSeconds }: RateLimit,
  shared: SharedCount | null,
): RateLimiterMemory | RateLimiterRedis {
  const window = { points: max, duration: windowSeconds };
  const alone = new RateLimiterMemory(window);
  if (shared === null) return alone;
  const { redis, name } = shared;
  return new RateLimiterRedis({
    ...window,
    keyPrefix: `${redis.namespace}:rate:${name}`,
    storeClient: {
      get isReady() {
        return redis.isUp;
      },
      eval: (script: string, options: { readonly keys: string[]; readonly arguments: string[] }) =>
        redis.run((commands) => commands.eval(script, options)),
    },
    useRedisPackage: true,
    rejectIfRedisNotReady: true,
    insuranceLimiter: alone,
  });
}
