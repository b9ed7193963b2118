import type { ChangeRecord } from "../store/store.ts";

/** Committed changes that wait to be delivered, oldest first. */
export class PendingChanges {
  #records: ChangeRecord[] = [];
  /** Those before it were taken. */
  #start = 0;
  /** How many records each transaction has that is not taken yet. */
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

  /** Begins with the oldest transaction. @returns how many records it has; 0: there is none */
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
