import type { FnDefinition } from "@pylonsync/functions";
import type { Caller } from "../identity/identity.ts";
import { callerKey } from "../request/caller-key.ts";
import { networkOf } from "../util/network.ts";
import { RateLimiter, type SharedCount } from "../request/rate-limit.ts";

/** The parts of a call by which calls are counted. */
export interface CountedCall {
  readonly caller: Pick<Caller, "userId" | "isGuest">;
  /** Returns the client's address. Called only if it is needed. */
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

  /** Whether calls of a function are limited at all. */
  concerns({ rateLimit }: Pick<FnDefinition, "rateLimit">): boolean {
    return rateLimit !== undefined || this.#common.isOn;
  }

  /** @throws PylonError RATE_LIMITED */
  count(
    name: string,
    { rateLimit }: Pick<FnDefinition, "rateLimit">,
    { caller, address }: CountedCall,
  ): Promise<void> {
    const network = (): string => networkOf(address());
    const user = (): string => callerKey(caller, address);
    if (rateLimit === undefined) return this.#common.count(() => `${name}:${user()}`);
    const { by = "user", ...limit } = rateLimit;
    const key = { all: () => "all", address: network, user }[by];
    return this.#limiterOf(name, limit).count(key);
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
