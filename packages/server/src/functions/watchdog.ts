/**
 * Watches the main thread. A handler with an endless loop blocks every request, and no timer on the
 * same thread can end it. A second thread detects that the first one has stopped responding,
 * reports which function was running, and replaces the process.
 */
import { extname, join } from "node:path";
import type { Platform, Timer } from "../platform.ts";
import { beatMsOf, WATCHDOG_SLOTS, type WatchdogStart } from "./watchdog-protocol.ts";

/** The worker file, which has the same extension: TypeScript, or JavaScript if bundled. */
const WORKER = join(import.meta.dir, `watchdog-worker${extname(import.meta.path)}`);

/** The options of a Watchdog. */
export interface WatchdogOptions {
  /** The maximum time for which the main thread may not respond, in milliseconds. */
  readonly limitMs: number;
  readonly platform: Platform;
}

/** Replaces the process if its event loop is blocked for too long. */
export class Watchdog {
  readonly #buffer = new SharedArrayBuffer(WATCHDOG_SLOTS.bytes);
  readonly #view = new Int32Array(this.#buffer);
  readonly #names = new Uint8Array(this.#buffer, WATCHDOG_SLOTS.nameOffset);
  readonly #encoder = new TextEncoder();
  /** The names in the shared memory. Often the same function runs again, so they are kept. */
  #written = "";
  #writtenBytes = 0;
  readonly #timer: Timer;
  readonly #worker: Worker;
  /** Resolves when the thread watches, or can't be started. */
  readonly ready: Promise<void>;

  constructor({ limitMs, platform }: WatchdogOptions) {
    this.#worker = new Worker(WORKER, {
      ref: false,
    });
    const start: WatchdogStart = {
      buffer: this.#buffer,
      limitMs,
      argv: process.argv.slice(),
      execArgv: process.execArgv,
    };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#worker.addEventListener("message", () => resolve());
    this.#worker.addEventListener("error", () => resolve());
    this.#worker.postMessage(start);
    this.#timer = platform
      .every(beatMsOf(limitMs), () => Atomics.add(this.#view, WATCHDOG_SLOTS.beat, 1))
      .unref();
  }

  /** Sets the names of the running functions for the report, one per line. */
  running(names: string): void {
    if (names === "") {
      // As below.
      this.#view[WATCHDOG_SLOTS.nameLength] = 0;
      return;
    }
    if (names !== this.#written) {
      // The length is 0 while the names are being written.
      Atomics.store(this.#view, WATCHDOG_SLOTS.nameLength, 0);
      this.#writtenBytes = this.#encoder.encodeInto(names, this.#names).written;
      this.#written = names;
      Atomics.store(this.#view, WATCHDOG_SLOTS.nameLength, this.#writtenBytes);
      return;
    }
    // The order of writes does not matter here. The runtime calls a function for an atomic one,
    // which in each step of a game is half a percent of its CPU.
    this.#view[WATCHDOG_SLOTS.nameLength] = this.#writtenBytes;
  }

  stop(): void {
    this.#timer.cancel();
    this.#worker.terminate();
  }
}
