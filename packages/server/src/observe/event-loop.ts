const EVERY_MS = 500;
const WINDOW_MS = 60_000;

/** How late timers run: while the event loop is held up, nothing is answered. */
export class EventLoopDelay {
  #timer: ReturnType<typeof setInterval> | undefined;
  #last = 0;
  #began = 0;
  /** The longest of this window and of the one before, in seconds. */
  #longest = 0;
  #before = 0;

  start(): void {
    this.#last = this.#began = performance.now();
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * The longest delay of the last one to two minutes, in seconds: the same for everybody who asks.
   */
  get longest(): number {
    return Math.max(this.#longest, this.#before);
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#began >= WINDOW_MS) {
      [this.#before, this.#longest] = [this.#longest, 0];
      this.#began = now;
    }
    this.#longest = Math.max(this.#longest, (now - this.#last - EVERY_MS) / 1000);
    this.#last = now;
  }
}
