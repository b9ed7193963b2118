import { SerialQueue } from "./serial-queue.ts";

/** A queue for the work on each key. */
export class KeyedQueues {
  readonly #queues = new Map<string, { readonly queue: SerialQueue; size: number }>();

  /**
   * Runs work after the earlier work on the same key.
   *
   * @throws what the work throws
   */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const own = this.#queues.get(key) ?? { queue: new SerialQueue(), size: 0 };
    this.#queues.set(key, own);
    own.size += 1;
    try {
      return await own.queue.run(work);
    } finally {
      own.size -= 1;
      if (own.size === 0) this.#queues.delete(key);
    }
  }
}
