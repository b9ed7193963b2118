import type { ChangeRecord } from "../store/store.ts";

/** Committed changes that wait to be delivered, oldest first. */
export class PendingChanges {
  #records: ChangeRecord[] = [];
  /** Those before it were taken. */
  #start = 0;
  /** How many records each batch has that is not taken yet; each ends with a transaction. */
  #batches: number[] = [];

  get size(): number {
    return this.#records.length - this.#start;
  }

  get oldest(): ChangeRecord | undefined {
    return this.#records[this.#start];
  }

  /** Adds whole transactions. */
  push(changes: readonly ChangeRecord[]): void {
    if (changes.length === 0) return;
    for (const change of changes) this.#records.push(change);
    this.#batches.push(changes.length);
  }

  /** Begins with the oldest batch. @returns how many records it has; 0: there is none */
  nextBatch(): number {
    return this.#batches.shift() ?? 0;
  }

  take(): ChangeRecord | undefined {
    const record = this.#records[this.#start];
    if (record === undefined) return undefined;
    this.#start += 1;
    if (this.#start === this.#records.length) {
      this.#records = [];
      this.#start = 0;
    }
    return record;
  }

  all(): readonly ChangeRecord[] {
    return this.#records.slice(this.#start);
  }
}
