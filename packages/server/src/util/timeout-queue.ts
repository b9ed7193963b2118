import type { Platform, Timer } from "../platform.ts";

/** An entry that expires unless it is deleted before. */
export interface Timed {
  /** When it expires, in milliseconds of the monotonic clock. */
  readonly dueAt: number;
  /** Called once when its time is up, and never after it was deleted. */
  expire(): void;
}

/**
 * Timeouts of equal length on one timer: most are deleted long before they expire, and a timer for
 * each would cost more than the work it watches.
 *
 * The timer does not keep the process alive.
 */
export class TimeoutQueue {
  readonly #ms: number;
  readonly #platform: Pick<Platform, "after" | "monotonic">;
  readonly #onIdle: () => void;
  /** In the order in which they are due, since all wait equally long. */
  readonly #waiting = new Set<Timed>();
  #timer: Timer | null = null;

  /**
   * @param ms the length of each timeout, in milliseconds
   * @param onIdle called when nothing has waited for a while, and no timer runs
   */
  constructor(
    ms: number,
    platform: Pick<Platform, "after" | "monotonic">,
    onIdle: () => void = () => undefined,
  ) {
    this.#ms = ms;
    this.#platform = platform;
    this.#onIdle = onIdle;
  }

  /** Starts a timeout. @param timed an entry that is due `ms` milliseconds from now */
  add(timed: Timed): void {
    this.#waiting.add(timed);
    this.#timer ??= this.#start(this.#ms);
  }

  /** Cancels a timeout, so that it does not expire. */
  delete(timed: Timed): void {
    this.#waiting.delete(timed);
  }

  #start(ms: number): Timer {
    return this.#platform.after(ms, () => this.#expireDue()).unref();
  }

  #expireDue(): void {
    const now = this.#platform.monotonic();
    this.#timer = null;
    for (const timed of this.#waiting) {
      if (timed.dueAt > now) {
        this.#timer ??= this.#start(timed.dueAt - now);
        return;
      }
      this.#waiting.delete(timed);
      timed.expire();
    }
    if (this.#timer === null) this.#onIdle();
  }
}
