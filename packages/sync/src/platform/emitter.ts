/** A list of listeners. */
export class Emitter<T> {
  readonly #listeners = new Set<(value: T) => void>();

  /** @returns an unsubscribe function */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
}
