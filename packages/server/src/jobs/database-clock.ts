import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";

/** The interval between reads of the database's time, in milliseconds: clocks drift slowly. */
const SYNC_MS = 10_000;
/** A read that took longer than this, in milliseconds, is too imprecise to use. */
const MAX_ANSWER_MS = 1_000;

/**
 * The clock of jobs. Replicas that share a database must agree on when a lease expires, even if the
 * clocks of their machines differ. So the database's clock is used: it is read periodically and
 * advanced by the monotonic clock in between. Jumps of a machine's clock have no effect. Without
 * other replicas, the machine's clock is used.
 *
 * @example
 * const clock = new DatabaseClock(store, platform);
 * await clock.start();
 * clock.now(); // milliseconds since 1970
 */
export class DatabaseClock {
  readonly #store: Pick<Store, "dialect" | "time">;
  readonly #platform: Platform;
  /** How far the database's clock is ahead of the monotonic one; null if not known. */
  #aheadMs: number | null = null;
  #stop: () => void = () => undefined;

  constructor(store: Pick<Store, "dialect" | "time">, platform: Platform) {
    this.#store = store;
    this.#platform = platform;
  }

  /** Milliseconds since 1970. */
  readonly now = (): number =>
    this.#aheadMs === null
      ? this.#platform.now()
      : Math.floor(this.#platform.monotonic() + this.#aheadMs);

  /** Reads the database's time at once, then periodically. @throws the database's error */
  async start(): Promise<void> {
    if (this.#store.dialect === "sqlite") return;
    await this.#sync();
    const timer = this.#platform.every(SYNC_MS, () => {
      // While the database is unavailable, the monotonic clock continues.
      this.#sync().catch(() => undefined);
    });
    timer.unref();
    this.#stop = () => timer.cancel();
  }

  stop(): void {
    this.#stop();
  }

  async #sync(): Promise<void> {
    const { monotonic } = this.#platform;
    const askedAt = monotonic();
    const time = await this.#store.time();
    const tookMs = monotonic() - askedAt;
    if (this.#aheadMs !== null && tookMs > MAX_ANSWER_MS) return;
    this.#aheadMs = time - (askedAt + tookMs / 2);
  }
}
