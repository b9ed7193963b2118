import type { Platform } from "../platform.ts";

/** Longest time that a timer takes, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Wakes a loop when something has happened since it last looked. */
export class ChangeSignal {
  readonly #platform: Platform;
  readonly #signal: AbortSignal;
  #isChanged = false;
  #onChange: () => void = () => undefined;

  constructor(platform: Platform, signal: AbortSignal) {
    this.#platform = platform;
    this.#signal = signal;
  }

  /** Something has happened. */
  change(): void {
    this.#isChanged = true;
    this.#onChange();
  }

  /**
   * Waits until something happens, or the signal is aborted.
   *
   * @param ms how long at most; null: for as long as it takes
   * @returns whether it did
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
