import { ValueIndex } from "../subscriptions/value-index.ts";
import type { RowChange, WatchedRead } from "./watched-read.ts";

/** Finds the reads that a change affects, without checking those of other values. */
export class ReadIndex<Owner> {
  readonly #byEntity = new Map<string, ValueIndex<WatchedRead<Owner>>>();

  get isEmpty(): boolean {
    return this.#byEntity.size === 0;
  }

  add(reads: readonly WatchedRead<Owner>[]): void {
    for (const read of reads) {
      let index = this.#byEntity.get(read.entity);
      if (index === undefined) this.#byEntity.set(read.entity, (index = new ValueIndex()));
      index.add(read.keys, read);
    }
  }

  delete(reads: readonly WatchedRead<Owner>[]): void {
    for (const read of reads) {
      const index = this.#byEntity.get(read.entity);
      index?.delete(read.keys, read);
      if (index?.isEmpty === true) this.#byEntity.delete(read.entity);
    }
  }

  /** Adds the owners of the reads that the change affects to `found`. */
  find(record: RowChange, found: Set<Owner>): void {
    const index = this.#byEntity.get(record.entity);
    if (index === undefined) return;
    const reads = new Set<WatchedRead<Owner>>();
    index.find(record.before, reads);
    index.find(record.after, reads);
    for (const read of reads)
      if (!found.has(read.owner) && read.isTouchedBy(record)) found.add(read.owner);
  }
}
