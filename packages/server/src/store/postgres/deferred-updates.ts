import type { RowUpdate, Transaction } from "../store.ts";

interface DeferredUpdate {
  readonly entity: string;
  readonly update: RowUpdate;
  readonly refuse: () => Error;
}

/** The updates that a transaction makes at its end: one step for all updates of the same kind. */
export class DeferredUpdates {
  readonly #byKind = new Map<string, DeferredUpdate[]>();

  add(deferred: DeferredUpdate): void {
    const { entity, update } = deferred;
    const fields = [Object.keys(update.patch), Object.keys(update.expected ?? {})];
    const kind = JSON.stringify([entity, fields]);
    const known = this.#byKind.get(kind);
    if (known === undefined) this.#byKind.set(kind, [deferred]);
    else known.push(deferred);
  }

  /** @throws the error of the first update whose row does not have the expected values */
  async run(tx: Pick<Transaction, "updateMany">): Promise<void> {
    for (const deferred of this.#byKind.values()) {
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
