import type { FnCache } from "@pylonsync/functions";
import type { Cache } from "./cache.ts";

/**
 * The `ctx.cache` of functions: a Cache with lifetimes in seconds, and at most one concurrent
 * computation per key.
 */
export class FunctionCache implements FnCache {
  readonly #cache: Cache;
  readonly #computing = new Map<string, Promise<unknown>>();

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  get(key: string): Promise<unknown> {
    return this.#cache.get(key);
  }

  set(key: string, value: unknown, ttlSeconds: number): Promise<void> {
    return this.#cache.set(key, value, ttlSeconds * 1000);
  }

  delete(key: string): Promise<void> {
    return this.#cache.delete(key);
  }

  async getOrSet<T>(key: string, ttlSeconds: number, compute: () => T | Promise<T>): Promise<T> {
    const cached = (await this.#cache.get(key)) as T | undefined;
    if (cached !== undefined) return cached;
    const running = this.#computing.get(key) as Promise<T> | undefined;
    if (running !== undefined) return running;
    const run = this.#compute(key, ttlSeconds, compute);
    this.#computing.set(key, run);
    try {
      return await run;
    } finally {
      this.#computing.delete(key);
    }
  }

  async #compute<T>(key: string, ttlSeconds: number, compute: () => T | Promise<T>): Promise<T> {
    const value = await compute();
    await this.set(key, value, ttlSeconds);
    return value;
  }
}
