import type { Platform } from "./platform.ts";

const LONGEST_MS = 30_000;

/**
 * Waits between tries: longer each time, by chance within the span, so that many clients do not
 * come back at once.
 */
export class Backoff {
  readonly #platform: Platform;
  readonly #baseMs: number;
  #attempts = 0;

  /** @param baseMs the span of the first wait, in milliseconds */
  constructor(platform: Platform, baseMs: number) {
    this.#platform = platform;
    this.#baseMs = baseMs;
  }

  /** The next wait in milliseconds. */
  next(): number {
    const span = Math.min(LONGEST_MS, this.#baseMs * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.floor(this.#platform.random() * span);
  }

  reset(): void {
    this.#attempts = 0;
  }
}
