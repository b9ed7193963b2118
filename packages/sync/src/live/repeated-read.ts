import type { Platform } from "../platform/platform.ts";

/** The time without changes after which the server is asked again, in milliseconds. */
const QUIET_MS = 150;
/** The maximum delay during continuous changes, in milliseconds. */
const MAX_WAIT_MS = 1_000;

/** Repeats a read that the server only answers on request, when rows have changed. */
export class RepeatedRead {
  readonly #platform: Pick<Platform, "now" | "after" | "random">;
  readonly #ask: () => void;
  readonly #stopListening: () => void;
  #cancel: (() => void) | null = null;
  #changedAt = 0;

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
    this.#changedAt = this.#platform.now();
    // Many pages are told the same time.
    this.#wait(ms * (1 + this.#platform.random()));
  }

  #soon(): void {
    const now = this.#platform.now();
    if (this.#cancel === null) this.#changedAt = now;
    const left = MAX_WAIT_MS - (now - this.#changedAt);
    this.#wait(Math.max(0, Math.min(QUIET_MS, left)));
  }

  #wait(ms: number | null): void {
    this.#cancel?.();
    this.#cancel =
      ms === null
        ? null
        : this.#platform.after(ms, () => {
            this.#cancel = null;
            this.#ask();
          });
  }
}
