import type { Platform } from "../platform.ts";

/** The part of the time of a process that a caller may use all the time. */
const SHARE = 0.1;
/** The number of callers above which those that have used little are forgotten. */
const MAX_CALLERS = 1_000;

/** The time for a caller's merges. */
interface Spent {
  readonly ms: number;
  readonly at: number;
}

/** How long the merges of each caller took; the time is forgotten gradually. */
export class MergeTimes {
  readonly #now: () => number;
  readonly #byCaller = new Map<string, Spent>();

  constructor({ monotonic }: Pick<Platform, "monotonic">) {
    this.#now = monotonic;
  }

  /** The number of callers that are remembered. */
  get size(): number {
    return this.#byCaller.size;
  }

  /** Returns the time that is not forgotten, in milliseconds. */
  of(caller: string): number {
    const spent = this.#byCaller.get(caller);
    if (spent === undefined) return 0;
    return Math.max(0, spent.ms - (this.#now() - spent.at) * SHARE);
  }

  add(caller: string, ms: number): void {
    this.#byCaller.set(caller, { ms: this.of(caller) + ms, at: this.#now() });
    if (this.#byCaller.size > MAX_CALLERS) this.#forget();
  }

  /** Returns how long it takes until less than `ms` are left, in milliseconds. */
  untilBelow(caller: string, ms: number): number {
    return Math.max(0, (this.of(caller) - ms) / SHARE);
  }

  #forget(): void {
    for (const caller of [...this.#byCaller.keys()])
      if (this.of(caller) === 0) this.#byCaller.delete(caller);
  }
}
