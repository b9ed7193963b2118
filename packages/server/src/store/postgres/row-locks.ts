/**
 * A transaction of this process is about to write a row that another one of this process is
 * writing: the later one could only wait for the earlier one, and fail when that commits. So it is
 * rolled back immediately, and runs again when the row is free.
 */
export class RowBusyError extends Error {
  override readonly name = "RowBusyError";
  readonly key: string;

  constructor(key: string) {
    super("Another transaction is writing this row.");
    this.key = key;
  }
}

/**
 * Tracks which work writes which row in this process. Transactions that write the same row take
 * turns, and those that are waiting for their turn hold no connection. This is only a hint:
 * correctness is up to the database.
 */
export class RowLocks {
  readonly #rows = new Map<string, { holder: HeldRows; readonly waiting: Waiting[] }>();

  /** Creates the hold of one piece of work. */
  hold(): HeldRows {
    return new HeldRows(this);
  }

  /** @returns whether the holder has the row now */
  tryAcquire(key: string, holder: HeldRows): boolean {
    const row = this.#rows.get(key);
    if (row === undefined) this.#rows.set(key, { holder, waiting: [] });
    return row === undefined || row.holder === holder;
  }

  /**
   * Waits until the holder has the row.
   *
   * @throws the signal's reason
   */
  acquire(key: string, holder: HeldRows, signal: AbortSignal): Promise<void> {
    const row = this.#rows.get(key);
    if (row === undefined || row.holder === holder) {
      this.tryAcquire(key, holder);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        row.waiting.splice(row.waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        holder,
        grant: () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      row.waiting.push(waiting);
    });
  }

  release(key: string): void {
    const row = this.#rows.get(key);
    const next = row?.waiting.shift();
    if (row === undefined || next === undefined) {
      this.#rows.delete(key);
      return;
    }
    row.holder = next.holder;
    next.grant();
  }
}

interface Waiting {
  readonly holder: HeldRows;
  readonly grant: () => void;
}

/** The rows that one piece of work may write. */
export class HeldRows {
  readonly #locks: RowLocks;
  readonly #keys = new Set<string>();

  constructor(locks: RowLocks) {
    this.#locks = locks;
  }

  get keys(): ReadonlySet<string> {
    return this.#keys;
  }

  /** @throws RowBusyError */
  claim(key: string): void {
    if (this.#keys.has(key)) return;
    if (!this.#locks.tryAcquire(key, this)) throw new RowBusyError(key);
    this.#keys.add(key);
  }

  /**
   * Releases all rows, and waits for the given ones: in the same order for all work, to avoid
   * deadlocks.
   *
   * @throws the signal's reason; the work then holds no rows
   */
  async exchangeFor(keys: Iterable<string>, signal: AbortSignal): Promise<void> {
    this.release();
    try {
      for (const key of [...keys].toSorted()) {
        await this.#locks.acquire(key, this, signal);
        this.#keys.add(key);
      }
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Releases all rows except this one. */
  keepOnly(kept: string | null): void {
    for (const key of this.#keys) {
      if (key === kept) continue;
      this.#keys.delete(key);
      this.#locks.release(key);
    }
  }

  release(): void {
    for (const key of this.#keys) this.#locks.release(key);
    this.#keys.clear();
  }
}
