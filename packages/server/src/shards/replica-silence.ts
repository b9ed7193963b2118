import type { Platform } from "../platform.ts";
import { RENEW_MS } from "./shard-storage.ts";

/** The time without a change of its lease after which a replica is silent, in milliseconds. */
export const SILENT_MS = 4 * RENEW_MS;
/** The maximum number of replicas to remember; the least recently checked are dropped first. */
export const MAX_REPLICAS = 1000;

/**
 * Detects replicas that no longer renew their lease, by observing it with this replica's clock, so
 * that the clocks need not agree.
 */
export class ReplicaSilence {
  readonly #platform: Pick<Platform, "monotonic">;
  readonly #leases = new Map<string, { readonly leaseUntil: number; readonly since: number }>();

  constructor(platform: Pick<Platform, "monotonic">) {
    this.#platform = platform;
  }

  /**
   * Observes the current lease of a replica.
   *
   * @returns the time since its last observed change, in milliseconds
   */
  silentForMs(replica: string, leaseUntil: number): number {
    const now = this.#platform.monotonic();
    const known = this.#leases.get(replica);
    if (known?.leaseUntil === leaseUntil) return now - known.since;
    this.#leases.delete(replica);
    this.#leases.set(replica, { leaseUntil, since: now });
    const [oldest] = this.#leases.keys();
    if (this.#leases.size > MAX_REPLICAS && oldest !== undefined) this.#leases.delete(oldest);
    return 0;
  }
}
