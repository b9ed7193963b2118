import type { Platform } from "../platform.ts";

/**
 * How long requests may hold the event loop before everything else gets a turn, in milliseconds.
 */
const TURN_MS = 10;
/** After a pause of at least this, in milliseconds, a request watches the loop's next turn. */
const PAUSE_MS = 1;

/**
 * Shares the event loop fairly. Many slow requests that arrive at the same time would be processed
 * one after the other before anything else; so after TURN_MS, the remaining ones wait for the next
 * turn of the loop.
 */
export class Turns {
  readonly #platform: Pick<Platform, "monotonic" | "soon">;
  #startedAt = 0;
  #seenAt = 0;
  /** Whether the loop has turned since the last request. */
  #hasTurned = true;
  /** Whether a callback for the loop's next turn is scheduled. */
  #isWatching = false;
  readonly #turned = (): void => {
    this.#isWatching = false;
    this.#hasTurned = true;
  };

  constructor(platform: Pick<Platform, "monotonic" | "soon">) {
    this.#platform = platform;
  }

  /** @returns null if the request may run now; otherwise a promise to wait for */
  next(): Promise<void> | null {
    return this.#isOver() ? this.#later() : null;
  }

  /** Each request checks the time itself, after the ones before it have done their work. */
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

  /** A callback for every turn of the loop would cost as much as a small request. */
  #isOver(): boolean {
    const now = this.#platform.monotonic();
    if (this.#hasTurned) this.#startedAt = now;
    this.#hasTurned = false;
    if (now - this.#seenAt >= PAUSE_MS) this.#watch();
    this.#seenAt = now;
    return now - this.#startedAt >= TURN_MS;
  }
}
