/**
 * A watch over the main thread. A handler that loops without end blocks every request, and no timer
 * on the same thread can end it; a second thread can see that the first has stopped answering, say
 * which function was running, and replace the process.
 */
import { extname, join } from "node:path";
import type { Platform, Timer } from "../platform.ts";
import { WATCHDOG_SLOTS, type WatchdogStart } from "./watchdog-protocol.ts";

const BEAT_MS = 250;
/** Beside this file, and of its kind: TypeScript, or JavaScript once it is bundled. */
const WORKER = join(import.meta.dir, `watchdog-worker${extname(import.meta.path)}`);

/** How a Watchdog watches. */
export interface WatchdogOptions {
  /** How long the main thread may be silent, in milliseconds. */
  readonly limitMs: number;
  readonly platform: Platform;
}

/** Replaces the process when its event loop was blocked for too long. */
export class Watchdog {
  readonly #buffer = new SharedArrayBuffer(WATCHDOG_SLOTS.bytes);
  readonly #view = new Int32Array(this.#buffer);
  readonly #names = new Uint8Array(this.#buffer, WATCHDOG_SLOTS.nameOffset);
  readonly #encoder = new TextEncoder();
  /** What is written where the thread looks: mostly the same function runs again. */
  #written = "";
  #writtenBytes = 0;
  readonly #timer: Timer;
  readonly #worker: Worker;
  /** Answers once the thread watches, or can't. */
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
      .every(BEAT_MS, () => Atomics.add(this.#view, WATCHDOG_SLOTS.beat, 1))
      .unref();
  }

  /** Names what runs now, for the report, in a line each. */
  running(names: string): void {
    if (names === "") return void Atomics.store(this.#view, WATCHDOG_SLOTS.nameLength, 0);
    if (names !== this.#written) {
      // Nothing is named while the name is written.
      Atomics.store(this.#view, WATCHDOG_SLOTS.nameLength, 0);
      this.#writtenBytes = this.#encoder.encodeInto(names, this.#names).written;
      this.#written = names;
    }
    Atomics.store(this.#view, WATCHDOG_SLOTS.nameLength, this.#writtenBytes);
  }

  stop(): void {
    this.#timer.cancel();
    this.#worker.terminate();
  }
}
