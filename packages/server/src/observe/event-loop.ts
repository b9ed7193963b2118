import type { Platform, Timer } from "../platform.ts";

const EVERY_MS = 500;
const WINDOW_MS = 60_000;

/** Measures the delay of timers: while the event loop is blocked, no request is processed. */
export class EventLoopDelay {
  readonly #platform: Pick<Platform, "every" | "monotonic">;
  #timer: Timer | null = null;
  #last = 0;
  #began = 0;
  /** The longest delays of this window and of the one before, in seconds. */
  #longest = 0;
  #before = 0;

  constructor(platform: Pick<Platform, "every" | "monotonic">) {
    this.#platform = platform;
  }

  /** Starts to measure twice a second. */
  start(): void {
    this.#last = this.#began = this.#platform.monotonic();
    this.#timer = this.#platform.every(EVERY_MS, () => this.#measure()).unref();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The longest delay of the last one to two minutes, in seconds: the same for each reader. */
  get longest(): number {
    return Math.max(this.#longest, this.#before);
  }

  #measure(): void {
    const now = this.#platform.monotonic();
    if (now - this.#began >= WINDOW_MS) {
      [this.#before, this.#longest] = [this.#longest, 0];
      this.#began = now;
    }
    this.#longest = Math.max(this.#longest, (now - this.#last - EVERY_MS) / 1000);
    this.#last = now;
  }
}
