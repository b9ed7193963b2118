import type { Timer } from "../platform.ts";
import { Watchdog, type WatchdogOptions } from "./watchdog.ts";

/** When the watchdog starts, in milliseconds after the server. */
const DELAY_MS = 1_000;

/**
 * A watchdog that starts a moment after the server: its thread costs more than the whole start, and
 * it is only needed once functions run.
 */
export class LateWatchdog {
  readonly #options: WatchdogOptions;
  #watchdog: Watchdog | null = null;
  #timer: Timer | null = null;
  #name: string | null = null;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Starts the watchdog in a moment. */
  start(): void {
    this.#timer = this.#options.platform.after(DELAY_MS, () => void this.ready()).unref();
  }

  /**
   * Starts it now, where it has not started.
   *
   * @returns when a function that never returns would be noticed
   */
  ready(): Promise<void> {
    this.#timer?.cancel();
    this.#watchdog ??= new Watchdog(this.#options);
    return this.#watchdog.ready;
  }

  /** Names what runs now, for the report; null when it has ended. */
  running(name: string | null): void {
    this.#name = name;
    this.#watchdog?.running(name);
  }

  /** Names what runs until `work` returns; after it what was named before is named again. */
  during<T>(name: string, work: () => T): T {
    const before = this.#name;
    this.running(name);
    try {
      return work();
    } finally {
      this.running(before);
    }
  }

  /** Ends the watchdog, or has it not start. */
  stop(): void {
    this.#timer?.cancel();
    this.#watchdog?.stop();
  }
}
