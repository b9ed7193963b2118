/**
 * What waits, by whom it is for: callers take turns, and one's own come in the order in which they
 * were added.
 */
export class FairQueue<T> {
  /** In the order of their turns; none is empty. */
  readonly #byCaller = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(caller: string): number {
    return this.#byCaller.get(caller)?.length ?? 0;
  }

  has(caller: string, item: T): boolean {
    return this.#byCaller.get(caller)?.includes(item) === true;
  }

  add(caller: string, item: T): void {
    const items = this.#byCaller.get(caller);
    if (items === undefined) this.#byCaller.set(caller, [item]);
    else items.push(item);
    this.#size += 1;
  }

  /**
   * Takes the next one out.
   *
   * @param mayGo who is not passed over this time
   * @returns undefined when there is none of such a caller
   */
  take(mayGo: (caller: string) => boolean): T | undefined {
    for (const [caller, items] of this.#byCaller) {
      if (!mayGo(caller)) continue;
      const item = items.shift();
      this.#byCaller.delete(caller);
      if (items.length > 0) this.#byCaller.set(caller, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** Takes one out before its turn. @returns whether it was there */
  remove(caller: string, item: T): boolean {
    const items = this.#byCaller.get(caller) ?? [];
    const index = items.indexOf(item);
    if (index === -1) return false;
    items.splice(index, 1);
    if (items.length === 0) this.#byCaller.delete(caller);
    this.#size -= 1;
    return true;
  }
}
