import type { Platform } from "../platform.ts";
import { RENEW_MS } from "./shard-storage.ts";

/** How long the lease of a replica stays as it is until the replica is silent, in milliseconds. */
export const SILENT_MS = 4 * RENEW_MS;
/** More replicas than an app has; those that are no longer asked about go first. */
export const MAX_REPLICAS = 1000;

/**
 * Knows which replicas renew their lease no longer, by what is seen of it and by this replica's own
 * clock: those of others need not agree with it.
 */
export class ReplicaSilence {
  readonly #platform: Pick<Platform, "monotonic">;
  readonly #seen = new Map<string, { readonly leaseUntil: number; readonly since: number }>();

  constructor(platform: Pick<Platform, "monotonic">) {
    this.#platform = platform;
  }

  /**
   * Looks at the lease of a replica, as it is in the store now.
   *
   * @returns for how long it has been the same, in milliseconds
   */
  look(replica: string, leaseUntil: number): number {
    const now = this.#platform.monotonic();
    const known = this.#seen.get(replica);
    if (known?.leaseUntil === leaseUntil) return now - known.since;
    this.#seen.delete(replica);
    this.#seen.set(replica, { leaseUntil, since: now });
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MAX_REPLICAS && oldest !== undefined) this.#seen.delete(oldest);
    return 0;
  }
}
