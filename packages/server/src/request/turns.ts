import type { Platform } from "../platform.ts";

/**
 * How long requests may hold the event loop before everything else gets a turn, in milliseconds.
 */
const TURN_MS = 10;
/** Requests that follow each other faster than this, in milliseconds, need not look at the loop. */
const PAUSE_MS = 1;

/**
 * Shares the event loop out. Many requests that come in at once, and each take a while, would be
 * worked off one after the other before anything else is looked at; so after TURN_MS the others
 * wait for the next turn of the loop.
 */
export class Turns {
  readonly #platform: Pick<Platform, "monotonic" | "soon">;
  #startedAt = 0;
  #seenAt = 0;
  /** The loop has turned since the last request. */
  #hasTurned = true;
  /** Whether it is told of the loop's next turn. */
  #isWatching = false;
  readonly #turned = (): void => {
    this.#isWatching = false;
    this.#hasTurned = true;
  };

  constructor(platform: Pick<Platform, "monotonic" | "soon">) {
    this.#platform = platform;
  }

  /** @returns null: it is your turn; else a promise to wait for */
  next(): Promise<void> | null {
    return this.#isOver() ? this.#later() : null;
  }

  /** Each waits for itself: the ones before it have done their work when it looks at the time. */
  async #later(): Promise<void> {
    do {
      this.#watch();
      await new Promise<void>((resolve) => this.#platform.soon(resolve));
    } while (this.#isOver());
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#platform.soon(this.#turned);
  }

  /** To be told of each turn of the loop would cost as much as a small request. */
  #isOver(): boolean {
    const now = this.#platform.monotonic();
    if (this.#hasTurned) this.#startedAt = now;
    this.#hasTurned = false;
    if (now - this.#seenAt >= PAUSE_MS) this.#watch();
    this.#seenAt = now;
    return now - this.#startedAt >= TURN_MS;
  }
}
