import type { Timer } from "../platform.ts";
import { FUNCTION_LINE } from "./watchdog-protocol.ts";
import { Watchdog, type WatchdogOptions } from "./watchdog.ts";

/** As a Watchdog's, or none at all. */
export interface LateWatchdogOptions extends Omit<WatchdogOptions, "limitMs"> {
  /** Null: nothing is watched, as where time stands still. */
  readonly limitMs: number | null;
}

/** A function, with the number of its running calls. */
interface WatchedFunction {
  readonly line: string;
  calls: number;
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
  /** All functions that have run, by name. */
  readonly #functions = new Map<string, WatchedFunction>();
  /** The functions that are running: any of them may be the one that blocks the thread. */
  readonly #running = new Set<WatchedFunction>();
  /** The code that is certain to be running now. */
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
    this.#report();
    return this.#watchdog.ready;
  }

  /** A call of a function has begun, for the report. */
  started(name: string): void {
    let watched = this.#functions.get(name);
    if (watched === undefined) {
      watched = { line: FUNCTION_LINE + name, calls: 0 };
      this.#functions.set(name, watched);
    }
    watched.calls += 1;
    if (watched.calls > 1) return;
    this.#running.add(watched);
    this.#report();
  }

  /** A call has ended. */
  ended(name: string): void {
    const watched = this.#functions.get(name);
    if (watched === undefined || watched.calls === 0) return;
    watched.calls -= 1;
    if (watched.calls > 0) return;
    this.#running.delete(watched);
    this.#report();
  }

  /** Names what runs until `work` returns, on its own. */
  during<T>(name: string, work: () => T): T {
    const before = this.#alone;
    this.#alone = name;
    this.#report();
    try {
      return work();
    } finally {
      this.#alone = before;
      this.#report();
    }
  }

  /** Ends the watchdog, or has it not start. */
  stop(): void {
    this.#timer?.cancel();
    this.#watchdog?.stop();
  }

  #report(): void {
    if (this.#watchdog === null) return;
    this.#watchdog.running(this.#alone ?? this.#lines());
  }

  /** A line for each function that is running. */
  #lines(): string {
    let lines = "";
    for (const { line } of this.#running) lines = lines === "" ? line : `${lines}\n${line}`;
    return lines;
  }
}

/** The functions that a watchdog's report names. */
export function functionsIn(report: string | undefined): string[] {
  return (report ?? "")
    .split("\n")
    .filter((line) => line.startsWith(FUNCTION_LINE))
    .map((line) => line.slice(FUNCTION_LINE.length));
}
