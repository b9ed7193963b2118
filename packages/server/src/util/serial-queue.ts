/** Runs work one after another, in the order of the calls. What fails keeps nothing else back. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Runs the work once all that was given before it has settled.
   *
   * @throws what the work throws
   */
  run<T>(work: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Answers when all that was given before this call has settled; never rejects. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
