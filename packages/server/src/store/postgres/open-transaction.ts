import type { NewChange } from "../store.ts";
import { DeferredInserts } from "./deferred-inserts.ts";
import { DeferredUpdates } from "./deferred-updates.ts";
import type { Lease } from "./pool.ts";
import type { HeldRows } from "./row-locks.ts";
import type { Statement } from "./statement-batch.ts";

/** Identifies a transaction after its end: the first change that it appended. */
export interface TransactionMark {
  readonly xid: string;
  readonly changeId: number;
}

/**
 * A transaction in which units of work are run. It begins with its first statement, in the same
 * message; if there is none, the database does not learn of it.
 */
export class OpenTransaction {
  readonly lease: Lease;
  /** The rows that it writes. */
  readonly rows: HeldRows;
  readonly inserts = new DeferredInserts();
  readonly deferred = new DeferredUpdates();
  /** The changes that are appended to the log at the end. */
  readonly changes: NewChange[] = [];
  /** Null until a change was appended. */
  mark: TransactionMark | null = null;
  #begin: readonly Statement[] | null;

  /** @param begin the statements that begin it, and set its settings */
  constructor(lease: Lease, rows: HeldRows, begin: readonly string[]) {
    this.lease = lease;
    this.rows = rows;
    this.#begin = begin.map((text) => ({ text, params: [], isSetup: true }));
  }

  /** Whether the database may know of it. */
  get hasBegun(): boolean {
    return this.#begin === null;
  }

  /** Returns the statements that begin it, once: the caller sends them with its own statement. */
  begin(): readonly Statement[] {
    const begin = this.#begin ?? [];
    this.#begin = null;
    return begin;
  }
}
