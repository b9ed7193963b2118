import type { Platform } from "../platform.ts";

/** The maximum duration of a timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Wakes a loop when something has changed since its last check. */
export class ChangeSignal {
  readonly #platform: Platform;
  readonly #signal: AbortSignal;
  #isChanged = false;
  #onChange: () => void = () => undefined;

  constructor(platform: Platform, signal: AbortSignal) {
    this.#platform = platform;
    this.#signal = signal;
  }

  /** Reports a change. */
  change(): void {
    this.#isChanged = true;
    this.#onChange();
  }

  /**
   * Waits until something changes, or the signal is aborted.
   *
   * @param ms the maximum time to wait, in milliseconds; null: unlimited
   * @returns whether something changed or the signal was aborted
   */
  async within(ms: number | null): Promise<boolean> {
    if (!this.#isChanged && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer =
          ms === null ? null : this.#platform.after(Math.min(ms, MAX_TIMER_MS), resolve);
        this.#onChange = () => {
          timer?.cancel();
          resolve();
        };
      });
    }
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged || this.#signal.aborted;
  }
}
