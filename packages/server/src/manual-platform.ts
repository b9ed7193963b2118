import { systemPlatform, type Platform, type Timer } from "./platform.ts";

interface Waiting {
  due: number;
  readonly everyMs: number | null;
  readonly work: () => void;
}

/** A Platform whose time passes only when a test says so. Its random values are the machine's. */
export class ManualPlatform implements Platform {
  readonly #waiting = new Set<Waiting>();
  #time: number;

  /** @param time its start, in milliseconds since 1970 */
  constructor(time = Date.parse("2026-01-31T12:00:00Z")) {
    this.#time = time;
  }

  readonly now = (): number => this.#time;
  readonly monotonic = (): number => this.#time;
  readonly after = (ms: number, work: () => void): Timer => this.#wait(ms, null, work);
  readonly every = (ms: number, work: () => void): Timer => this.#wait(ms, ms, work);
  readonly soon = systemPlatform.soon;
  readonly uuid = systemPlatform.uuid;
  readonly random = systemPlatform.random;

  /** The number of waiting timers. */
  get timers(): number {
    return this.#waiting.size;
  }

  /** Advances the time, and runs the timers that are due, in order. */
  advance(ms: number): void {
    const end = this.#time + ms;
    for (;;) {
      const [next] = [...this.#waiting]
        .filter(({ due }) => due <= end)
        .toSorted((one, other) => one.due - other.due);
      if (next === undefined) break;
      this.#time = next.due;
      if (next.everyMs === null) this.#waiting.delete(next);
      else next.due += Math.max(1, next.everyMs);
      next.work();
    }
    this.#time = end;
  }

  #wait(ms: number, everyMs: number | null, work: () => void): Timer {
    const waiting = { due: this.#time + ms, everyMs, work };
    this.#waiting.add(waiting);
    const timer: Timer = {
      cancel: () => {
        this.#waiting.delete(waiting);
      },
      unref: () => timer,
    };
    return timer;
  }
}

/** Lets everything run that waits for no timer and no other process. */
export async function turn(): Promise<void> {
  await new Promise<void>((resolve) => systemPlatform.soon(resolve));
}
