import { rowSize } from "../store/row-size.ts";
import type { ChangeRecord } from "../store/store.ts";

interface RecentChange {
  readonly seq: number;
  readonly at: number;
  /** Null if its rows are not held any longer. */
  readonly record: ChangeRecord | null;
  /** The size of the rows that are held. */
  readonly bytes: number;
}

/**
 * The newest changes, for clients of version 1 that join: their times, for those that do not send
 * their position, and their rows, so that many that join together share one read of them.
 */
export class RecentChanges {
  readonly #maxChanges: number;
  readonly #maxBytes: number;
  /** In the order of the log. */
  #changes: RecentChange[] = [];
  /** The index of the first change whose rows are held; from it on no change is missing. */
  #firstHeld = 0;
  #bytes = 0;

  /** @param maxBytes the maximum total size of the rows */
  constructor(maxChanges: number, maxBytes: number) {
    this.#maxChanges = maxChanges;
    this.#maxBytes = maxBytes;
  }

  /** Adds the newest change; a known one is ignored. */
  add(record: ChangeRecord): void {
    const { seq, at, before, after } = record;
    const last = this.#changes.at(-1)?.seq ?? 0;
    if (seq <= last) return;
    if (seq !== last + 1) this.#releaseUpTo(this.#changes.length);
    const bytes = sizeOf(before) + sizeOf(after);
    this.#changes.push({ seq, at, record, bytes });
    this.#bytes += bytes;
    this.#releaseUpTo(this.#changes.length - this.#maxChanges);
    while (this.#bytes > this.#maxBytes) this.#releaseUpTo(this.#firstHeld + 1);
    // Rarely, and many together.
    const excess = this.#changes.length - this.#maxChanges;
    if (excess < this.#maxChanges) return;
    this.#changes = this.#changes.slice(excess);
    this.#firstHeld -= excess;
  }

  /**
   * @param at milliseconds since 1970
   * @returns the first change at or after this time, or undefined if there is none
   */
  firstSince(at: number): number | undefined {
    return this.#changes.slice(-this.#maxChanges).find((change) => change.at >= at)?.seq;
  }

  /** All changes after one up to another; null if the rows of some are not held. */
  between(after: number, end: number): readonly ChangeRecord[] | null {
    const first = this.#changes[this.#firstHeld]?.seq;
    const last = this.#changes.at(-1)?.seq ?? 0;
    if (first === undefined || after + 1 < first || end > last) return null;
    const index = this.#firstHeld + after + 1 - first;
    const found = this.#changes.slice(index, index + end - after);
    return found.flatMap(({ record }) => record ?? []);
  }

  /** Releases the rows of the changes before this index. */
  #releaseUpTo(index: number): void {
    for (; this.#firstHeld < index; this.#firstHeld += 1) {
      const change = this.#changes[this.#firstHeld];
      if (change === undefined) continue;
      this.#bytes -= change.bytes;
      this.#changes[this.#firstHeld] = { ...change, record: null, bytes: 0 };
    }
  }
}

function sizeOf(row: ChangeRecord["after"]): number {
  return row === null ? 0 : rowSize(row);
}
