/** Jobs that are taken beyond those that have a place. */
const MAX_AHEAD = 200;
const FIRST_AHEAD = 8;
/** A handler that ran for at most this long, in milliseconds, was short. */
const SHORT_MS = 20;
/** How much work is taken ahead, in milliseconds: another replica may be free to do it sooner. */
const MAX_AHEAD_MS = 250;

/**
 * How many jobs are taken before there is a place for them. Short mutations share transactions, in
 * which they run one after another: the more there are, the less each costs. So while all that was
 * taken is short, and there is more of it, more is taken each time.
 */
export class TakeAhead {
  /** How long the last handler of a function ran, in milliseconds; only of those of the app. */
  readonly #durations = new Map<string, number>();
  #size = 0;

  /** How many may be taken beyond those that have a place. */
  get size(): number {
    return this.#size;
  }

  /** Whether a job of this function is expected to be short. */
  isShort(name: string): boolean {
    return this.#durationOf(name) <= SHORT_MS;
  }

  /**
   * Told how long the handler of a mutation ran, without what it waited for and its commit: those
   * are shared, and a slow disk must not make them share less.
   */
  ran(name: string, ms: number): void {
    this.#durations.set(name, ms);
  }

  /** Told what a look for work has found. @param wanted how many jobs it would have taken */
  took(names: readonly string[], wanted: number): void {
    if (!names.every((name) => this.isShort(name))) this.#size = 0;
    else if (names.length === wanted)
      this.#size = Math.min(Math.max(FIRST_AHEAD, this.#size * 2), this.#mostOf(names));
  }

  #mostOf(names: readonly string[]): number {
    const longest = Math.max(...names.map((name) => this.#durationOf(name)));
    return Math.min(MAX_AHEAD, Math.floor(MAX_AHEAD_MS / Math.max(longest, 1)));
  }

  #durationOf(name: string): number {
    return this.#durations.get(name) ?? Infinity;
  }
}
