import { writeFileSync } from "node:fs";

/**
 * Decides which runs of a process start, in memory that the process shares with the server. The
 * server sends runs ahead of time, and can withdraw those that have not started, even from a
 * process that is stuck: each run is either started or withdrawn, and never both.
 *
 * The memory holds the highest number that is decided. Both sides only raise it.
 */
export class RunClaims {
  readonly #decided: Int32Array;

  private constructor(path: string) {
    this.#decided = new Int32Array(Bun.mmap(path).buffer, 0, 1);
  }

  /** Creates the shared memory. @param path the path of a file, which is created */
  static create(path: string): RunClaims {
    writeFileSync(path, new Uint8Array(Int32Array.BYTES_PER_ELEMENT), { mode: 0o600, flag: "wx" });
    return new RunClaims(path);
  }

  /** Opens memory that the server has created. */
  static open(path: string): RunClaims {
    return new RunClaims(path);
  }

  /**
   * Claims a run for its start. Runs are started in the order of their numbers.
   *
   * @returns false if the server has withdrawn it
   */
  start(run: number): boolean {
    return this.#raise(run) < run;
  }

  /**
   * Withdraws all runs up to this number that have not started.
   *
   * @returns the number of the last run that was decided before: later ones are withdrawn
   */
  withdraw(run: number): number {
    return this.#raise(run);
  }

  /** Raises the highest decided number. @returns the number before */
  #raise(run: number): number {
    for (;;) {
      const before = Atomics.load(this.#decided, 0);
      if (before >= run) return before;
      if (Atomics.compareExchange(this.#decided, 0, before, run) === before) return before;
    }
  }
}
