import type { ChangeRecord } from "../store/store.ts";

/** Committed changes that wait to be delivered, oldest first. */
export class PendingChanges {
  #records: ChangeRecord[] = [];
  /** The index of the first record that was not taken. */
  #start = 0;
  /** The number of records of each transaction that was not taken. */
  #transactions: number[] = [];

  get size(): number {
    return this.#records.length - this.#start;
  }

  get oldest(): ChangeRecord | undefined {
    return this.#records[this.#start];
  }

  /** Adds a transaction. */
  push(changes: readonly ChangeRecord[]): void {
    if (changes.length === 0) return;
    for (const change of changes) this.#records.push(change);
    this.#transactions.push(changes.length);
  }

  /** Starts the oldest transaction. @returns the number of its records; 0 if there is none */
  nextTransaction(): number {
    return this.#transactions.shift() ?? 0;
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
