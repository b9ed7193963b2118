/** When the newest changes were made: for clients that do not say where they are. */
export class RecentChanges {
  readonly #limit: number;
  /** In the order of the log. */
  #changes: { readonly seq: number; readonly at: number }[] = [];

  /** @param limit how many it remembers */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds the newest change; one that is known already is ignored. */
  add(seq: number, at: number): void {
    if (seq <= (this.#changes.at(-1)?.seq ?? 0)) return;
    this.#changes.push({ seq, at });
    // Seldom, and many at once.
    if (this.#changes.length >= 2 * this.#limit) this.#changes = this.#changes.slice(-this.#limit);
  }

  /**
   * @param at milliseconds since 1970
   * @returns the first change at or after this time, or undefined when there is none
   */
  firstSince(at: number): number | undefined {
    return this.#changes.slice(-this.#limit).find((change) => change.at >= at)?.seq;
  }
}
