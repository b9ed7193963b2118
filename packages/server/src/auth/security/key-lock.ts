/**
 * Runs work on the same key one after the other within this process. The database guarantees what
 * all replicas rely on; this lock avoids conflicts of a thousand concurrent attempts there.
 */
export class KeyLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` after the earlier work on this key is done. @throws what `work` throws */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const { promise: tail, resolve: release } = Promise.withResolvers<void>();
    this.#tails.set(key, tail);
    await before;
    try {
      return await work();
    } finally {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
