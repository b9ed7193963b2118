import type { Platform } from "../../platform.ts";
import type { StatementCache } from "./statements.ts";

/**
 * Keeps one read transaction open for all reads of a turn of the event loop, because acquiring and
 * releasing SQLite's read lock costs more than reading a row. It ends with the turn, and at every
 * commit of this process, so a read never misses a commit that was acknowledged before it.
 */
export class ReadSnapshot {
  readonly #statements: StatementCache;
  readonly #soon: Platform["soon"];
  readonly #leave = (): void => this.leave();
  #isOpen = false;

  constructor(statements: StatementCache, { soon }: Platform) {
    this.#soon = soon;
    this.#statements = statements;
  }

  /** Must be called before each read. */
  enter(): void {
    if (this.#isOpen) return;
    this.#statements.run("BEGIN", []);
    this.#isOpen = true;
    this.#soon(this.#leave);
  }

  /** Makes the next read see the newest commit. */
  leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      this.#statements.run("COMMIT", []);
    } catch {
      this.#rollback();
    }
  }

  #rollback(): void {
    try {
      this.#statements.run("ROLLBACK", []);
    } catch {
      // After a failure of the file or its disk, which was reported, SQLite may have ended the
      // transaction by itself.
    }
  }
}
