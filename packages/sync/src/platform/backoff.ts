import type { Platform } from "./platform.ts";

const LONGEST_MS = 30_000;
/** A server that is back is asked soon, however long it was gone: at most this many first spans. */
const MAX_GROWTH = 8;
/** Tries that count after a connection that was live for a short time only. */
const TRIES_WHEN_CUT = 2;

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
    const span = Math.min(LONGEST_MS, this.#baseMs * Math.min(MAX_GROWTH, 2 ** this.#attempts));
    this.#attempts += 1;
    return Math.floor(this.#platform.random() * span);
  }

  reset(): void {
    this.#attempts = 0;
  }

  /** It worked for a moment: the pauses are short again, and grow with each time that it is so. */
  ease(): void {
    this.#attempts = Math.min(this.#attempts, TRIES_WHEN_CUT);
  }
}
