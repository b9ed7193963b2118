/** The times of the newest changes, for clients that do not send their position. */
export class RecentChanges {
  readonly #limit: number;
  /** In the order of the log. */
  #changes: { readonly seq: number; readonly at: number }[] = [];

  /** @param limit the maximum number of changes to store */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds the newest change; a known one is ignored. */
  add(seq: number, at: number): void {
    if (seq <= (this.#changes.at(-1)?.seq ?? 0)) return;
    this.#changes.push({ seq, at });
    // Rarely, and many together.
    if (this.#changes.length >= 2 * this.#limit) this.#changes = this.#changes.slice(-this.#limit);
  }

  /**
   * @param at milliseconds since 1970
   * @returns the first change at or after this time, or undefined if there is none
   */
  firstSince(at: number): number | undefined {
    return this.#changes.slice(-this.#limit).find((change) => change.at >= at)?.seq;
  }
}
