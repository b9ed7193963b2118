/** The four words of a generator's state. */
export type RandomState = readonly [number, number, number, number];

/** The number of initial outputs to discard, so that similar seeds have different sequences. */
const WARM_UP = 15;

/**
 * A random number generator that returns the same numbers for the same seed on every machine:
 * sfc32, which only uses 32-bit integers. Not for secrets.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #count: number;

  /** @param state the state from which to continue */
  constructor(state: RandomState) {
    [this.#a, this.#b, this.#c, this.#count] = state;
  }

  /** Starts a new sequence. @param seed a 32-bit integer */
  static of(seed: number): SeededRandom {
    const random = new SeededRandom([0, seed | 0, (seed ^ 0x9e3779b9) | 0, 1]);
    for (let draw = 0; draw < WARM_UP; draw += 1) random.next();
    return random;
  }

  get state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#count];
  }

  /** Returns a number of at least 0 and less than 1, in 2^32 steps. */
  next(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }
}
