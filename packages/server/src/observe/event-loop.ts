const EVERY_MS = 500;

/** How late timers run: while the event loop is held up, nothing is answered. */
export class EventLoopDelay {
  #timer: ReturnType<typeof setInterval> | undefined;
  #last = 0;
  #longest = 0;
  #lastSeconds = 0;

  start(): void {
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The longest delay since the last call, in seconds. */
  take(): number {
    const longest = Math.max(this.#longest, this.#lastSeconds);
    this.#longest = 0;
    return longest;
  }

  #look(): void {
    const now = performance.now();
    this.#lastSeconds = Math.max(0, now - this.#last - EVERY_MS) / 1000;
    this.#longest = Math.max(this.#longest, this.#lastSeconds);
    this.#last = now;
  }
}
