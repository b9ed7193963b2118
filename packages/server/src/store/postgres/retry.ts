import type { Platform } from "../../platform.ts";
import type { ShareName } from "./connection-shares.ts";
import {
  isConflict,
  isLockTimeout,
  isStaleStatement,
  isUnreachable,
  rowBusy,
  translateError,
} from "./errors.ts";
import { pause } from "./pause.ts";
import { RowBusyError, type HeldRows } from "./row-locks.ts";
import type { Cancellation } from "../../util/cancellation.ts";

/** The maximum number of attempts of a piece of work that conflicts with others. */
const MAX_ATTEMPTS = 12;
/** How long a write waits for the database to be available again, in milliseconds. */
const RETRY_TIMEOUT_MS = 5_000;
/**
 * How long a write waits for others of the same row, in milliseconds: longer than Postgres lets a
 * frozen replica lock it.
 */
const ROW_TIMEOUT_MS = 15_000;
/**
 * The maximum number of rows for which a piece of work waits before it runs again; with more it
 * runs without waiting.
 */
const MAX_AWAITED_ROWS = 100;

/** Decides whether and when a piece of work runs again. */
export class Retry {
  readonly #rows: HeldRows;
  readonly #signal: Cancellation | undefined;
  readonly #platform: Platform;
  readonly #startedAt: number;
  #attempts = 1;
  #lockTimeouts = 0;
  /** The rows of its conflicts: before it runs again, it waits for its turn on all of them. */
  readonly #awaited = new Set<string>();
  /** The share of connections that the next attempt uses. */
  share: ShareName = "write";

  constructor(rows: HeldRows, signal: Cancellation | undefined, platform: Platform) {
    this.#platform = platform;
    this.#startedAt = platform.monotonic();
    this.#rows = rows;
    this.#signal = signal;
  }

  /**
   * Waits until the work may run again.
   *
   * @throws the error, if it may not run again
   */
  async after(error: unknown): Promise<void> {
    const elapsed = this.#platform.monotonic() - this.#startedAt;
    if (isLockTimeout(error)) {
      if (elapsed > ROW_TIMEOUT_MS) throw translateError(error);
      this.share = "blocked";
      await pause(this.#platform, (this.#lockTimeouts += 1));
      return;
    }
    this.share = "write";
    if (error instanceof RowBusyError) {
      this.#addHeldRows();
      this.#awaited.add(error.key);
      await this.#waitForRows(ROW_TIMEOUT_MS - elapsed);
      return;
    }
    if (isConflict(error) || isStaleStatement(error)) {
      this.#attempts += 1;
      if (this.#attempts > MAX_ATTEMPTS) throw translateError(error);
    } else if (!isUnreachable(error) || elapsed > RETRY_TIMEOUT_MS) throw translateError(error);
    this.#addHeldRows();
    this.#rows.release();
    await pause(this.#platform, this.#attempts);
    if (isConflict(error)) await this.#waitForRows(ROW_TIMEOUT_MS - elapsed);
  }

  /** Also awaits the rows that it has written, because it will write them again. */
  #addHeldRows(): void {
    if (this.#rows.keys.size > MAX_AWAITED_ROWS) return;
    for (const held of this.#rows.keys) this.#awaited.add(held);
  }

  async #waitForRows(withinMs: number): Promise<void> {
    const timeout = new AbortController();
    const timer = this.#platform.after(Math.max(0, withinMs), () => timeout.abort(rowBusy()));
    const stop = (): void => timeout.abort(this.#signal?.reason);
    if (this.#signal?.aborted === true) stop();
    this.#signal?.addEventListener("abort", stop, { once: true });
    try {
      await this.#rows.exchangeFor(this.#awaited, timeout.signal);
    } finally {
      timer.cancel();
      this.#signal?.removeEventListener("abort", stop);
    }
  }
}
