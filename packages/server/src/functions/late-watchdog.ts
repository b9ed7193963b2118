import type { Timer } from "../platform.ts";
import { FUNCTION_LINE } from "./watchdog-protocol.ts";
import { Watchdog, type WatchdogOptions } from "./watchdog.ts";

/** The options of a Watchdog, which may be disabled. */
export interface LateWatchdogOptions extends Omit<WatchdogOptions, "limitMs"> {
  /** Null disables the watchdog, as in tests where time does not pass. */
  readonly limitMs: number | null;
}

/** A function, with the number of its running calls. */
interface WatchedFunction {
  readonly line: string;
  calls: number;
}

/** The delay after the start of the server, in milliseconds. */
const DELAY_MS = 1_000;

/**
 * A watchdog that starts shortly after the server: its thread takes longer to start than the
 * server, and is only needed once functions run.
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

  /** Starts the watchdog after a short delay. */
  start(): void {
    this.#timer = this.#options.platform.after(DELAY_MS, () => void this.ready()).unref();
  }

  /**
   * Starts the watchdog if it is not running yet.
   *
   * @returns a promise that resolves when a blocked event loop would be detected
   */
  ready(): Promise<void> {
    this.#timer?.cancel();
    const { limitMs, platform } = this.#options;
    if (limitMs === null) return Promise.resolve();
    this.#watchdog ??= new Watchdog({ limitMs, platform });
    this.#report();
    return this.#watchdog.ready;
  }

  /** Reports that a call of a function has started. */
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

  /** Reports that a call has ended. */
  ended(name: string): void {
    const watched = this.#functions.get(name);
    if (watched === undefined || watched.calls === 0) return;
    watched.calls -= 1;
    if (watched.calls > 0) return;
    this.#running.delete(watched);
    this.#report();
  }

  /** Reports `name` alone as running until `work` returns. */
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

  /** Stops the watchdog, or cancels its start. */
  stop(): void {
    this.#timer?.cancel();
    this.#watchdog?.stop();
  }

  #report(): void {
    if (this.#watchdog === null) return;
    this.#watchdog.running(this.#alone ?? this.#lines());
  }

  /** Returns a line for each running function. */
  #lines(): string {
    let lines = "";
    if (this.#running.size === 0) return lines;
    for (const { line } of this.#running) lines = lines === "" ? line : `${lines}\n${line}`;
    return lines;
  }
}

/** Returns the functions that a watchdog's report names. */
export function functionsIn(report: string | undefined): string[] {
  return (report ?? "")
    .split("\n")
    .filter((line) => line.startsWith(FUNCTION_LINE))
    .map((line) => line.slice(FUNCTION_LINE.length));
}
