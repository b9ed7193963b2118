import { PylonError } from "@pylonsync/protocol";
import type { Platform } from "../platform.ts";
import type { Store } from "../store/store.ts";
import { transactById } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const SHARDS = SYSTEM_TABLES.shards;
/**
 * For how long a replica that is not heard of keeps its shards, in milliseconds. The clocks of the
 * replicas may differ by a part of it.
 */
export const LEASE_MS = 15_000;
/** How long a shard that nobody came back to is kept, in milliseconds. */
const KEPT_MS = 30 * 24 * 60 * 60_000;

/**
 * Where shards are kept, and which replica runs each: at most one, which renews its lease. An
 * SQLite file has one server, so there no lease of an earlier one is waited for.
 */
export class ShardStorage {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #replica: string;

  /** @param replica the name of this one, new with each start */
  constructor(store: Store, { now }: Pick<Platform, "now">, replica: string) {
    this.#store = store;
    this.#now = now;
    this.#replica = replica;
  }

  /** Whether another replica may take a shard over whose lease has run out. */
  get isShared(): boolean {
    return this.#store.dialect === "postgres";
  }

  /**
   * Takes the shard for this replica.
   *
   * @returns what was saved of it; null for a new one
   * @throws PylonError SHARD_ELSEWHERE
   */
  open(id: string): Promise<string | null> {
    return transactById(this.#store, async (tx) => {
      const now = this.#now();
      const row = await SHARDS.get(tx, id);
      const isOthers = row !== null && row.owner !== null && row.owner !== this.#replica;
      if (isOthers && this.isShared && (row.leaseUntil ?? 0) > now)
        throw new PylonError("SHARD_ELSEWHERE", "Another replica runs this shard.", {
          hint: "Send all clients of shards to one replica: see docs/shards.md.",
          extra: { retry_after_secs: 1 },
        });
      await SHARDS.put(tx, {
        ...(row ?? { id, state: null, tick: 0, savedAt: now }),
        owner: this.#replica,
        leaseUntil: now + LEASE_MS,
      });
      return row?.state ?? null;
    });
  }

  /**
   * Renews the lease, and saves the state where it is given.
   *
   * @returns whether this replica still had the shard
   */
  keep(id: string, state: string | null, tick: number): Promise<boolean> {
    const now = this.#now();
    return this.#own(id, {
      ...(state === null ? {} : { state, tick, savedAt: now }),
      leaseUntil: now + LEASE_MS,
    });
  }

  /**
   * Saves the state, where it is given, and leaves the shard to whoever opens it next. Of one that
   * was never saved nothing stays.
   */
  async release(id: string, state: string | null, tick: number): Promise<boolean> {
    const isOurs = await this.#own(id, {
      ...(state === null ? {} : { state, tick, savedAt: this.#now() }),
      owner: null,
      leaseUntil: null,
    });
    if (state === null && isOurs) await this.#forgetUnsaved(id);
    return isOurs;
  }

  /** Forgets a shard that this replica runs, or that none does. */
  forget(id: string): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const row = await SHARDS.get(tx, id);
      if (row === null) return false;
      if (row.owner !== null && row.owner !== this.#replica && this.isShared) return false;
      return SHARDS.delete(tx, id);
    });
  }

  /** Forgets those that were saved long ago. */
  async forgetOld(): Promise<void> {
    const before = this.#now() - KEPT_MS;
    await this.#store.transact((tx) => SHARDS.deleteWhere(tx, SHARDS.isBelow("savedAt", before)));
  }

  #forgetUnsaved(id: string): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const row = await SHARDS.get(tx, id);
      return row?.state === null && row.owner === null && SHARDS.delete(tx, id);
    });
  }

  #own(id: string, patch: Parameters<typeof SHARDS.update>[2]): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const row = await SHARDS.get(tx, id);
      if (row === null || row.owner !== this.#replica) return false;
      return SHARDS.update(tx, id, patch);
    });
  }
}
