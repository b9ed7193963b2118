/** Jobs that are taken beyond those that have a place. */
const MAX_AHEAD = 50;
const FIRST_AHEAD = 8;
/** An attempt that took at most this long, in milliseconds, was short. */
const SHORT_MS = 100;

/**
 * How many jobs are taken before there is a place for them. Short mutations share transactions, in
 * which they run one after another: the more there are, the less each costs. So while all that was
 * taken is short, and there is more of it, more is taken each time.
 */
export class TakeAhead {
  /** How long the last attempt of a function took, in milliseconds; only of those of the app. */
  readonly #durations = new Map<string, number>();
  #size = 0;

  /** How many may be taken beyond those that have a place. */
  get size(): number {
    return this.#size;
  }

  /** Whether a job of this function is expected to be short. */
  isShort(name: string): boolean {
    return (this.#durations.get(name) ?? Infinity) <= SHORT_MS;
  }

  /** Told how long an attempt of a mutation took. */
  ended(name: string, ms: number): void {
    this.#durations.set(name, ms);
  }

  /** Told what a look for work has found. @param wanted how many jobs it would have taken */
  took(names: readonly string[], wanted: number): void {
    if (!names.every((name) => this.isShort(name))) this.#size = 0;
    else if (names.length === wanted)
      this.#size = Math.min(Math.max(FIRST_AHEAD, this.#size * 2), MAX_AHEAD);
  }
}
