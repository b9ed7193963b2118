import type { Platform } from "../platform/platform.ts";

/** The time without changes after which the server is asked again, in milliseconds. */
const QUIET_MS = 150;
/** The maximum delay during continuous changes, in milliseconds. */
const MAX_WAIT_MS = 1_000;

/**
 * The requests that changes may cause at once, and the time after which they may cause one more, in
 * milliseconds: rows that others change all the time must not use up the requests that a network
 * address may send (`PYLON_RATE_LIMIT_MAX`).
 */
const BURST = 10;
const ONE_MORE_MS = 5_000;

/** Repeats a read that the server only answers on request, when rows have changed. */
export class RepeatedRead {
  readonly #platform: Pick<Platform, "now" | "after" | "random">;
  readonly #ask: () => void;
  readonly #stopListening: () => void;
  #cancel: (() => void) | null = null;
  #changedAt = 0;
  /** The number of requests that changes may cause, as of `#creditAt`. */
  #credit = BURST;
  #creditAt = 0;
  /** The server answers from this time on, as it has said. */
  #pausedUntil = 0;

  /** @param onRows calls its listener when rows have changed. @returns an unsubscribe function */
  constructor(
    platform: Pick<Platform, "now" | "after" | "random">,
    ask: () => void,
    onRows: (listener: () => void) => () => void,
  ) {
    this.#platform = platform;
    this.#ask = ask;
    this.#stopListening = onRows(() => this.#soon());
  }

  stop(): void {
    this.#stopListening();
    this.#wait(null);
  }

  /** Asks again after a response that says when the server can answer. */
  later(ms: number): void {
    // Many pages are told the same time.
    const pauseMs = ms * (1 + this.#platform.random());
    this.#pausedUntil = this.#platform.now() + pauseMs;
    this.#wait(pauseMs);
  }

  #soon(): void {
    const now = this.#platform.now();
    if (this.#cancel === null) this.#changedAt = now;
    const left = MAX_WAIT_MS - (now - this.#changedAt);
    this.#credit = Math.min(BURST, this.#credit + (now - this.#creditAt) / ONE_MORE_MS);
    this.#creditAt = now;
    const untilAllowed = Math.max((1 - this.#credit) * ONE_MORE_MS, this.#pausedUntil - now);
    this.#wait(Math.max(0, Math.min(QUIET_MS, left), untilAllowed), 1);
  }

  /** @param cost the requests that this one counts as */
  #wait(ms: number | null, cost = 0): void {
    this.#cancel?.();
    this.#cancel =
      ms === null
        ? null
        : this.#platform.after(ms, () => {
            this.#cancel = null;
            this.#credit -= cost;
            this.#ask();
          });
  }
}
