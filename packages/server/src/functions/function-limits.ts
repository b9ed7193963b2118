import type { FnDefinition } from "@pylonsync/functions";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";

/** The parts of a caller by which calls are counted. */
export interface CountedCaller {
  readonly userId: string | null;
  /** Returns the network, or a connection. Called only if it is needed. */
  readonly address: () => string;
}

/**
 * Counts calls from outside: by the limit that a function declares, or by the server's own limit,
 * which counts each pair of function and caller.
 */
export class FunctionLimits {
  readonly #common: RateLimiter;
  readonly #shared: (name: string) => SharedCount | null;
  /** By the function's name; created again when its declared limit changes. */
  readonly #own = new Map<string, { readonly of: string; readonly limiter: RateLimiter }>();

  /**
   * @param common the server's own limit
   * @param shared returns where a function's count is shared; null if each replica counts alone
   */
  constructor(common: RateLimiter, shared: (name: string) => SharedCount | null = () => null) {
    this.#common = common;
    this.#shared = shared;
  }

  /** @throws PylonError RATE_LIMITED */
  count(
    name: string,
    { rateLimit }: Pick<FnDefinition, "rateLimit">,
    { userId, address }: CountedCaller,
  ): Promise<void> {
    if (rateLimit === undefined) return this.#common.count(() => `${name}:${userId ?? address()}`);
    const { by = "user", ...limit } = rateLimit;
    return this.#limiterOf(name, limit).count(() => {
      if (by === "all") return "all";
      // The prefix prevents collisions between user ids and addresses.
      return by === "user" && userId !== null ? `user ${userId}` : `at ${address()}`;
    });
  }

  #limiterOf(
    name: string,
    { max, windowSecs }: { readonly max: number; readonly windowSecs: number },
  ): RateLimiter {
    const of = `${max}/${windowSecs}`;
    const known = this.#own.get(name);
    if (known?.of === of) return known.limiter;
    const limiter = new RateLimiter({ max, windowSeconds: windowSecs }, this.#shared(name));
    this.#own.set(name, { of, limiter });
    return limiter;
  }
}
