import type { FnDefinition } from "@pylonsync/functions";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";

/** Who calls, as far as calls are counted by it. */
export interface CountedCaller {
  readonly userId: string | null;
  /** The network, or a connection: asked only when it is needed. */
  readonly address: () => string;
}

/**
 * Counts calls from outside: by the limit that a function declares, or else by the server's own,
 * which counts each function and caller.
 */
export class FunctionLimits {
  readonly #common: RateLimiter;
  readonly #shared: (name: string) => SharedCount | null;
  /** By the function's name; remade when the limit that it declares is another. */
  readonly #own = new Map<string, { readonly of: string; readonly limiter: RateLimiter }>();

  /**
   * @param common the server's own limit
   * @param shared where the count of a function is shared; null: each replica counts alone
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
      // A user's id is not an address, and the other way round.
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
