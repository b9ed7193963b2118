import { rowSize } from "../store/row-size.ts";
import type { ChangeRecord } from "../store/store.ts";

/** The newest changes with their rows, so that many clients that join share one read of them. */
export class RecentRecords {
  readonly #maxRecords: number;
  readonly #maxBytes: number;
  /** In the order of the log, without a gap. Null: released. */
  #records: ({ readonly record: ChangeRecord; readonly bytes: number } | null)[] = [];
  /** The index of the first record that is still held. */
  #start = 0;
  #bytes = 0;
  /** The number of the newest change. */
  #last = 0;

  /** @param maxBytes the maximum total size of the rows */
  constructor(maxRecords: number, maxBytes: number) {
    this.#maxRecords = maxRecords;
    this.#maxBytes = maxBytes;
  }

  /** Adds the newest change; a known one is ignored. */
  add(record: ChangeRecord): void {
    if (record.seq <= this.#last) return;
    if (record.seq !== this.#last + 1) this.#clear();
    this.#last = record.seq;
    const bytes = sizeOf(record.before) + sizeOf(record.after);
    this.#records.push({ record, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes || this.#records.length - this.#start > this.#maxRecords) {
      this.#bytes -= this.#records[this.#start]?.bytes ?? 0;
      this.#records[this.#start] = null;
      this.#start += 1;
    }
    // Rarely, and many together.
    if (this.#start < this.#maxRecords) return;
    this.#records = this.#records.slice(this.#start);
    this.#start = 0;
  }

  /** All changes after one up to another; null if some of them are not held. */
  between(after: number, end: number): readonly ChangeRecord[] | null {
    const first = this.#records[this.#start]?.record.seq;
    if (first === undefined || after + 1 < first || end > this.#last) return null;
    const index = this.#start + after + 1 - first;
    const found = this.#records.slice(index, index + end - after);
    return found.flatMap((held) => held?.record ?? []);
  }

  #clear(): void {
    this.#records = [];
    this.#start = 0;
    this.#bytes = 0;
  }
}

function sizeOf(row: ChangeRecord["after"]): number {
  return row === null ? 0 : rowSize(row);
}
