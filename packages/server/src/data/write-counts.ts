import { MAX_CASCADE_WRITES, MAX_TRANSACTION_WRITES, PylonError } from "@pylonsync/protocol";

/** Counts the rows that a transaction writes, across all of its writers. */
export class WriteCounts {
  #writes = 0;
  #cascaded = 0;

  /**
   * Counts a requested write. A write that is rejected or changes nothing counts too, because it
   * takes time as well.
   *
   * @throws PylonError TRANSACTION_TOO_LARGE
   */
  countWrite(): void {
    this.#writes += 1;
    if (this.#writes <= MAX_TRANSACTION_WRITES) return;
    throw new PylonError(
      "TRANSACTION_TOO_LARGE",
      `A transaction may write at most ${MAX_TRANSACTION_WRITES} rows.`,
      {
        hint: "It was rolled back. Write the rows in several calls from an action, or import them.",
      },
    );
  }

  /**
   * Counts rows that are written because a row that they refer to is deleted.
   *
   * @throws PylonError TRANSACTION_TOO_LARGE
   */
  countCascaded(rows: number): void {
    this.#cascaded += rows;
    if (this.#cascaded <= MAX_CASCADE_WRITES) return;
    throw new PylonError(
      "TRANSACTION_TOO_LARGE",
      `The deletes of a transaction may change at most ${MAX_CASCADE_WRITES} rows ` +
        "that refer to the deleted rows.",
      { hint: "It was rolled back. Delete the referring rows first, in several calls." },
    );
  }
}
