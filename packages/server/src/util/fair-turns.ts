import { FairQueue } from "./fair-queue.ts";

/** The most work at the same time. */
interface TurnLimits {
  readonly atOnce: number;
  readonly perCaller: number;
}

/** Work that waits for its turn: callers take turns, so that none waits for all of another's. */
export class FairTurns {
  readonly #limits: TurnLimits;
  readonly #queue = new FairQueue<() => void>();
  readonly #runningOf = new Map<string, number>();
  #running = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Does the work when it is its turn. Rejects as the work does. */
  run(caller: string, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.add(caller, () => {
        this.#count(caller, 1);
        void work()
          .then(resolve, reject)
          .finally(() => {
            this.#count(caller, -1);
            this.#startNext();
          });
      });
      this.#startNext();
    });
  }

  #startNext(): void {
    const { atOnce, perCaller } = this.#limits;
    while (this.#running < atOnce) {
      const start = this.#queue.take((caller) => (this.#runningOf.get(caller) ?? 0) < perCaller);
      if (start === undefined) return;
      start();
    }
  }

  #count(caller: string, by: 1 | -1): void {
    this.#running += by;
    const running = (this.#runningOf.get(caller) ?? 0) + by;
    if (running === 0) this.#runningOf.delete(caller);
    else this.#runningOf.set(caller, running);
  }
}
