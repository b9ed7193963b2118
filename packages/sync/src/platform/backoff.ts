import type { Platform } from "./platform.ts";

const LONGEST_MS = 30_000;
/** Limits the delay to this multiple of the first, so that a server that is back is found soon. */
const MAX_GROWTH = 8;
/** The number of attempts that count after a short-lived connection. */
const MAX_ATTEMPTS_AFTER_SHORT_CONNECTION = 2;

/** Exponential backoff with jitter, so that many clients do not reconnect at the same time. */
export class Backoff {
  readonly #platform: Platform;
  readonly #baseMs: number;
  #attempts = 0;

  /** @param baseMs the range of the first delay, in milliseconds */
  constructor(platform: Platform, baseMs: number) {
    this.#platform = platform;
    this.#baseMs = baseMs;
  }

  /** Returns the next delay in milliseconds. */
  next(): number {
    const span = Math.min(LONGEST_MS, this.#baseMs * Math.min(MAX_GROWTH, 2 ** this.#attempts));
    this.#attempts += 1;
    return Math.floor(this.#platform.random() * span);
  }

  reset(): void {
    this.#attempts = 0;
  }

  /** A connection was live for a short time: the delays are short again, and grow each time. */
  limitAttempts(): void {
    this.#attempts = Math.min(this.#attempts, MAX_ATTEMPTS_AFTER_SHORT_CONNECTION);
  }
}
