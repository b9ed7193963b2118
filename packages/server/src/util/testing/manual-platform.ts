import { systemPlatform, type Platform, type Timer } from "../../platform.ts";

interface Waiting {
  dueAt: number;
  readonly everyMs: number | null;
  readonly work: () => void;
}

/** A platform whose time goes by when a test says so. */
export class ManualPlatform implements Platform {
  #now: number;
  readonly #waiting = new Set<Waiting>();
  readonly uuid = systemPlatform.uuid;
  readonly random = systemPlatform.random;
  readonly soon = systemPlatform.soon;

  /** @param now milliseconds since 1970 */
  constructor(now = 0) {
    this.#now = now;
  }

  readonly now = (): number => this.#now;
  readonly monotonic = (): number => this.#now;
  readonly after = (ms: number, work: () => void): Timer => this.#wait(ms, null, work);
  readonly every = (ms: number, work: () => void): Timer => this.#wait(ms, ms, work);

  /** How many timers wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Lets time go by, and does what becomes due, in its order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#waiting]
        .filter(({ dueAt }) => dueAt <= end)
        .toSorted((a, b) => a.dueAt - b.dueAt);
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.dueAt);
      if (next.everyMs === null) this.#waiting.delete(next);
      else next.dueAt += next.everyMs;
      next.work();
    }
    this.#now = end;
  }

  #wait(ms: number, everyMs: number | null, work: () => void): Timer {
    const waiting: Waiting = { dueAt: this.#now + ms, everyMs, work };
    this.#waiting.add(waiting);
    const timer: Timer = {
      cancel: () => void this.#waiting.delete(waiting),
      unref: () => timer,
    };
    return timer;
  }
}
