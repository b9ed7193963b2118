import type { Timer } from "../platform.ts";
import { FUNCTION_LINE } from "./watchdog-protocol.ts";
import { Watchdog, type WatchdogOptions } from "./watchdog.ts";

/** As a Watchdog's, or none at all. */
export interface LateWatchdogOptions extends Omit<WatchdogOptions, "limitMs"> {
  /** Null: nothing is watched, as where time stands still. */
  readonly limitMs: number | null;
}

/** When the watchdog starts, in milliseconds after the server. */
const DELAY_MS = 1_000;

/**
 * A watchdog that starts a moment after the server: its thread costs more than the whole start, and
 * it is only needed once functions run.
 */
export class LateWatchdog {
  readonly #options: LateWatchdogOptions;
  #watchdog: Watchdog | null = null;
  #timer: Timer | null = null;
  /** How many calls of each function are under way: any of them may be the one that loops. */
  readonly #functions = new Map<string, number>();
  /** What holds the thread right now, for sure. */
  #alone: string | null = null;

  constructor(options: LateWatchdogOptions) {
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
    const { limitMs, platform } = this.#options;
    if (limitMs === null) return Promise.resolve();
    this.#watchdog ??= new Watchdog({ limitMs, platform });
    this.#tell();
    return this.#watchdog.ready;
  }

  /** A call of a function has begun, for the report. */
  started(name: string): void {
    const calls = this.#functions.get(name) ?? 0;
    this.#functions.set(name, calls + 1);
    if (calls === 0) this.#tell();
  }

  /** A call has ended. */
  ended(name: string): void {
    const calls = (this.#functions.get(name) ?? 0) - 1;
    if (calls > 0) this.#functions.set(name, calls);
    else if (this.#functions.delete(name)) this.#tell();
  }

  /** Names what runs until `work` returns, on its own. */
  during<T>(name: string, work: () => T): T {
    const before = this.#alone;
    this.#alone = name;
    this.#tell();
    try {
      return work();
    } finally {
      this.#alone = before;
      this.#tell();
    }
  }

  /** Ends the watchdog, or has it not start. */
  stop(): void {
    this.#timer?.cancel();
    this.#watchdog?.stop();
  }

  #tell(): void {
    if (this.#watchdog === null) return;
    this.#watchdog.running(this.#alone ?? this.#lines());
  }

  /** A line for each function that runs. */
  #lines(): string {
    if (this.#functions.size === 0) return "";
    return [...this.#functions.keys()].map((name) => FUNCTION_LINE + name).join("\n");
  }
}

/** The functions that a watchdog's report names. */
export function functionsIn(report: string | undefined): string[] {
  return (report ?? "")
    .split("\n")
    .filter((line) => line.startsWith(FUNCTION_LINE))
    .map((line) => line.slice(FUNCTION_LINE.length));
}
