const COUNTED_MS = 1000;

/** Counts the frames of the last second. */
export class FrameTimes {
  #times: number[] = [];

  add(nowMs: number): void {
    this.#times.push(nowMs);
    this.#times = this.#times.filter((time) => nowMs - time < COUNTED_MS);
  }

  get perSecond(): number {
    return this.#times.length;
  }
}
