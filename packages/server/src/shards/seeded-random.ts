/** The four words that a sequence goes on from. */
export type RandomState = readonly [number, number, number, number];

/** What the first words of a sequence are drawn past, so that like seeds have unlike sequences. */
const WARM_UP = 15;

/**
 * Random numbers that are the same for the same seed, on every machine: sfc32, which uses 32-bit
 * whole numbers alone. Not for secrets.
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #count: number;

  /** @param state of a sequence that goes on */
  constructor(state: RandomState) {
    [this.#a, this.#b, this.#c, this.#count] = state;
  }

  /** A new sequence. @param seed a whole number of 32 bits */
  static of(seed: number): SeededRandom {
    const random = new SeededRandom([0, seed | 0, (seed ^ 0x9e3779b9) | 0, 1]);
    for (let draw = 0; draw < WARM_UP; draw += 1) random.next();
    return random;
  }

  get state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#count];
  }

  /** At least 0 and less than 1, in 2^32 steps. */
  next(): number {
    const sum = (this.#a + this.#b + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }
}
