import type { Caller, Identity } from "../../identity/identity.ts";
import type { Platform } from "../../platform.ts";

const MAX_CACHED = 10_000;

interface Cached {
  readonly identity: Identity;
  /** A time of the monotonic clock: setting the machine's clock back must not extend it. */
  readonly until: number;
}

/** Identities that were looked up a moment ago. Those that have expired are dropped. */
export class IdentityCache {
  readonly #platform: Pick<Platform, "monotonic">;
  /** By key, in the order in which they were added. */
  readonly #entries = new Map<string, Cached>();

  constructor(platform: Pick<Platform, "monotonic">) {
    this.#platform = platform;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Identity | undefined {
    const cached = this.#entries.get(key);
    return cached !== undefined && cached.until > this.#platform.monotonic()
      ? cached.identity
      : undefined;
  }

  /** @param until milliseconds of the monotonic clock */
  set(key: string, identity: Identity, until: number): void {
    this.#entries.delete(key);
    this.forgetExpired();
    if (this.#entries.size >= MAX_CACHED) this.#entries.clear();
    this.#entries.set(key, { identity, until });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  deleteWhere(isMeant: (caller: Caller) => boolean): void {
    for (const [key, { identity }] of this.#entries)
      if (isMeant(identity.caller)) this.#entries.delete(key);
  }

  /** Drops the oldest entries, up to the first that is still used. */
  forgetExpired(): void {
    const now = this.#platform.monotonic();
    for (const [key, { until }] of this.#entries) {
      if (until > now) return;
      this.#entries.delete(key);
    }
  }
}
