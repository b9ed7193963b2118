import type { RowUpdate, Transaction } from "../store.ts";

interface DeferredUpdate {
  readonly entity: string;
  readonly update: RowUpdate;
  readonly refuse: () => Error;
}

/** The updates that a transaction makes at its end: one step for all updates of the same kind. */
export class DeferredUpdates {
  readonly #updates: DeferredUpdate[] = [];

  /** The number of updates. */
  get size(): number {
    return this.#updates.length;
  }

  add(deferred: DeferredUpdate): void {
    this.#updates.push(deferred);
  }

  /** Removes the updates that were added last. @param size the number of updates to keep */
  truncate(size: number): void {
    this.#updates.length = size;
  }

  /** @throws the error of the first update whose row is not as expected */
  async run(tx: Pick<Transaction, "updateMany">): Promise<void> {
    const byKind = Map.groupBy(this.#updates, ({ entity, update }) =>
      JSON.stringify([entity, Object.keys(update.patch), Object.keys(update.expected ?? {})]),
    );
    for (const deferred of byKind.values()) {
      const [first] = deferred;
      if (first === undefined) continue;
      const updated = await tx.updateMany(
        first.entity,
        deferred.map(({ update }) => update),
      );
      const missed = deferred.find(({ update }) => !updated.has(update.id));
      if (missed !== undefined) throw missed.refuse();
    }
  }
}
