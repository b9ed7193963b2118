import type { Platform } from "../platform.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";
import { transactById, type RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const { shards: SHARDS, shardReplicas: REPLICAS } = SYSTEM_TABLES;
/**
 * The duration of a replica's lease on its shards, in milliseconds. The clocks of replicas may
 * differ by a fraction of it.
 */
export const LEASE_MS = 15_000;
/** How often a replica with shards renews its lease, in milliseconds. */
export const RENEW_MS = 500;
/**
 * The time without a renewal, in milliseconds, after which a replica may be declared dead by
 * another one that reaches its machine, where nothing responds under its name.
 */
const STALE_MS = 3 * RENEW_MS;
/** How long the state of an unused shard is kept, in milliseconds. */
const KEPT_MS = 30 * 24 * 60 * 60_000;

/** A replica that runs a shard. */
export interface ShardOwner {
  readonly replica: string;
  /** The address at which other replicas reach it; null if unknown. */
  readonly address: string | null;
  /** The end of its lease by its own clock; it changes with each renewal. */
  readonly leaseUntil: number;
}

/** A replica that was found to be dead. */
export interface GoneReplica {
  readonly replica: string;
  /**
   * The lease that it has not renewed for long. Null: nothing listens at its address, and its lease
   * only needs to be stale.
   */
  readonly leaseUntil: number | null;
}

/** The result of opening a shard. */
export type OpenedShard =
  /** This replica has the shard now. Null: there is no saved state. */
  { readonly state: string | null } | { readonly owner: ShardOwner };

/** The information about this replica for other replicas. */
export interface ThisReplica {
  /** Unique to each start. */
  readonly id: string;
  readonly address: () => string | null;
}

/**
 * The saved states of shards, and the replica that runs each: at most one, while its lease is
 * valid, which it renews for all of its shards together. A SQLite file has one server, which does
 * not wait for the lease of an earlier one.
 */
export class ShardStorage {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #replica: ThisReplica;

  constructor(store: Store, { now }: Pick<Platform, "now">, replica: ThisReplica) {
    this.#store = store;
    this.#now = now;
    this.#replica = replica;
  }

  /** Whether another replica may take over a shard after its lease has expired. */
  get isShared(): boolean {
    return this.#store.dialect === "postgres";
  }

  /** The name of this replica. */
  get replica(): string {
    return this.#replica.id;
  }

  /**
   * Acquires a shard for this replica, unless another one runs it.
   *
   * @param gone a dead replica, whose shards are free if it has not renewed its lease since
   */
  open(id: string, gone: GoneReplica | null = null): Promise<OpenedShard> {
    return transactById(this.#store, async (tx) => {
      const now = this.#now();
      const row = await SHARDS.get(tx, id);
      const owner = row === null ? null : await this.#othersOf(tx, row, gone);
      if (owner !== null) return { owner };
      if (this.isShared) await this.#renewIn(tx);
      await SHARDS.put(tx, {
        ...(row ?? { id, state: null, tick: 0, savedAt: now }),
        owner: this.#replica.id,
        leaseUntil: now + LEASE_MS,
      });
      return { state: row?.state ?? null };
    });
  }

  /** Returns the other replica that runs a shard; null if there is none. */
  async ownerOf(id: string): Promise<ShardOwner | null> {
    const row = await SHARDS.get(this.#store, id);
    return row === null ? null : this.#othersOf(this.#store, row, null);
  }

  async #othersOf(
    reader: Reader,
    { owner, leaseUntil }: RowOf<typeof SHARDS>,
    gone: GoneReplica | null,
  ): Promise<ShardOwner | null> {
    if (owner === null || owner === this.#replica.id || !this.isShared) return null;
    const replica = await REPLICAS.get(reader, owner);
    // Replicas of an earlier version renewed the lease of each shard.
    const until = replica?.leaseUntil ?? leaseUntil ?? 0;
    const isGone = owner === gone?.replica;
    if (isGone && gone.leaseUntil === until) return null;
    const isOver = until - (isGone && gone.leaseUntil === null ? DETECT_DEAD_MS : 0) <= this.#now();
    if (isOver) return null;
    return { replica: owner, address: replica?.address ?? null, leaseUntil: until };
  }

  /**
   * Renews the lease on all shards of this replica.
   *
   * @returns false if it had expired, so that others may have taken over shards
   */
  renew(): Promise<boolean> {
    return transactById(this.#store, (tx) => this.#renewIn(tx));
  }

  async #renewIn(tx: Transaction): Promise<boolean> {
    const { id, address } = this.#replica;
    const now = this.#now();
    const row = await REPLICAS.get(tx, id);
    await REPLICAS.put(tx, { id, address: address(), leaseUntil: now + LEASE_MS });
    return row !== null && row.leaseUntil > now;
  }

  /** Returns the replicas that may still run shards, with the ends of their leases. */
  async living(): Promise<ReadonlyMap<string, number>> {
    const now = this.#now();
    const rows = await REPLICAS.select(this.#store);
    const living = rows.filter(({ leaseUntil }) => leaseUntil > now);
    return new Map(living.map(({ id, leaseUntil }) => [id, leaseUntil] as const));
  }

  /**
   * Saves the state of a shard.
   *
   * @returns whether this replica still has the shard
   */
  keep(id: string, state: string, tick: number): Promise<boolean> {
    const now = this.#now();
    return this.#own(id, { state, tick, savedAt: now, leaseUntil: now + LEASE_MS });
  }

  /**
   * Saves the state if it is given, and releases the shard for any replica. The row of a shard that
   * was never saved is deleted.
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

  /** Whether this replica still has the shard. */
  async isOurs(id: string): Promise<boolean> {
    return (await SHARDS.get(this.#store, id))?.owner === this.#replica.id;
  }

  /** Deletes the state of a shard that no other replica runs. */
  forget(id: string): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const row = await SHARDS.get(tx, id);
      if (row === null) return false;
      if ((await this.#othersOf(tx, row, null)) !== null) return false;
      return SHARDS.delete(tx, id);
    });
  }

  /** Deletes states that were saved long ago, and rows of dead replicas. */
  async forgetOld(): Promise<void> {
    const now = this.#now();
    await this.#store.transact(async (tx) => {
      await SHARDS.deleteWhere(tx, SHARDS.isBelow("savedAt", now - KEPT_MS));
      await REPLICAS.deleteWhere(tx, REPLICAS.isBelow("leaseUntil", now - 10 * LEASE_MS));
    });
  }

  /** Deletes the row of this replica, which has no shards any longer. */
  leave(): Promise<boolean> {
    return transactById(this.#store, (tx) => REPLICAS.delete(tx, this.#replica.id));
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
      if (row === null || row.owner !== this.#replica.id) return false;
      return SHARDS.update(tx, id, patch);
    });
  }
}

/** The part of the lease of a dead replica that is ignored. */
const DETECT_DEAD_MS = LEASE_MS - STALE_MS;
