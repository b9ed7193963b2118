import type { ArenaView } from "../game/match.ts";

/** Counts the player's beams that hit. */
export class HitCount {
  all = 0;
  /** The hits on ships that had moved away by then. */
  rewound = 0;
  /** The round and the step of the last counted beam. */
  #last = { seed: -1, step: -1 };

  look({ seed, zaps }: ArenaView, own: number): void {
    if (seed !== this.#last.seed) this.#last = { seed, step: -1 };
    for (const { place, step, target, isRewound } of zaps) {
      if (place !== own || step <= this.#last.step) continue;
      this.#last = { seed, step };
      if (target === null) continue;
      this.all += 1;
      if (isRewound) this.rewound += 1;
    }
  }
}
