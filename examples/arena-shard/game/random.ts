/** A sequence of random numbers that is determined by its seed: plain data, stored with a round. */
export interface RandomState {
  seed: number;
}

/** The next number of the sequence: at least 0, less than 1. The algorithm is "mulberry32". */
export function nextRandom(state: RandomState): number {
  state.seed = (state.seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state.seed ^ (state.seed >>> 15), 1 | state.seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
}

/** A whole number from `least` to `most`. */
export function nextInt(state: RandomState, least: number, most: number): number {
  return least + Math.floor(nextRandom(state) * (most - least + 1));
}
