/**
 * How long requests may hold the event loop before everything else gets a turn, in milliseconds.
 */
const TURN_MS = 10;

/**
 * Shares the event loop out. Many requests that come in at once, and each take a while, would be
 * worked off one after the other before anything else is looked at; so after TURN_MS the others
 * wait for the next turn of the loop.
 */
export class Turns {
  #startedAt = 0;
  #isOn = false;
  readonly #end = (): void => {
    this.#isOn = false;
  };

  /** @returns null: it is your turn; else a promise to wait for */
  next(): Promise<void> | null {
    return this.#isOver() ? this.#later() : null;
  }

  async #later(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.#isOver());
  }

  #isOver(): boolean {
    const now = performance.now();
    if (this.#isOn) return now - this.#startedAt >= TURN_MS;
    this.#isOn = true;
    this.#startedAt = now;
    setImmediate(this.#end);
    return false;
  }
}
