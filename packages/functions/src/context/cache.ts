/**
 * A cache for values that can be recomputed, shared by all replicas that use the same Redis. Cache
 * failures never cause an error: an unreadable value is a miss, and a value that can't be stored is
 * dropped. Not part of a mutation's transaction.
 */
export interface FnCache {
  /** @returns undefined for a miss */
  get(key: string): Promise<unknown>;
  /** Stores a JSON value of at most 1 MiB for `ttlSeconds`. */
  set(key: string, value: unknown, ttlSeconds: number): Promise<void>;
  delete(key: string): Promise<void>;
  /**
   * Returns the cached value, or computes and caches it. Concurrent calls with the same key share
   * one computation.
   */
  getOrSet<T>(key: string, ttlSeconds: number, compute: () => T | Promise<T>): Promise<T>;
}
