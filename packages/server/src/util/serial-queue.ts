/** Runs work one after another, in the order of the calls. A failure does not affect later work. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs the work after all earlier work has settled.
   *
   * @throws what the work throws
   */
  run<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves when all work before this call has settled; never rejects. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
