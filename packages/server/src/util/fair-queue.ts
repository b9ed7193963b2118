/** Items that wait, by caller: callers take turns, and a caller's items keep their order. */
export class FairQueue<T> {
  /** In the order of their turns; none is empty. */
  readonly #byCaller = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number of callers whose items wait. */
  get callers(): number {
    return this.#byCaller.size;
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

  /** Adds an item before the others of its caller. */
  addFirst(caller: string, item: T): void {
    const items = this.#byCaller.get(caller);
    if (items === undefined) this.#byCaller.set(caller, [item]);
    else items.unshift(item);
    this.#size += 1;
  }

  /**
   * Removes the next item.
   *
   * @param mayGo whether this caller may be served now
   * @returns undefined if there is no item of such a caller
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

  /** Removes an item before its turn. @returns whether it was in the queue */
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
