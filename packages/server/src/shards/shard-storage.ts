import type { Platform } from "../platform.ts";
import type { Reader, Store, Transaction } from "../store/store.ts";
import { transactById, type RowOf } from "../store/system-table.ts";
import { SYSTEM_TABLES } from "../store/system-tables.ts";

const { shards: SHARDS, shardReplicas: REPLICAS } = SYSTEM_TABLES;
/**
 * For how long a replica that is not heard of keeps its shards, in milliseconds. The clocks of the
 * replicas may differ by a part of it.
 */
export const LEASE_MS = 15_000;
/** How often a replica with shards renews its lease, in milliseconds. */
export const RENEW_MS = 500;
/**
 * After how many milliseconds without a renewal a replica may be found dead: by another one that
 * reaches its machine, where nothing answers for it.
 */
const STALE_MS = 3 * RENEW_MS;
/** How long a shard that nobody came back to is kept, in milliseconds. */
const KEPT_MS = 30 * 24 * 60 * 60_000;

/** A replica that runs a shard. */
export interface ShardOwner {
  readonly replica: string;
  /** Where other replicas reach it; null where it does not know. */
  readonly address: string | null;
  /** Until when its lease lasts by its own clock: another value with each renewal. */
  readonly leaseUntil: number;
}

/** A replica that was found to be no longer there. */
export interface GoneReplica {
  readonly replica: string;
  /**
   * Its lease as it was seen for long, without a renewal. Null: nothing listens at its address, and
   * its lease need only be stale.
   */
  readonly leaseUntil: number | null;
}

/** What opening a shard comes to. */
export type OpenedShard =
  /** It is this replica's now. Null: nothing was saved of it. */
  { readonly state: string | null } | { readonly owner: ShardOwner };

/** This replica, as others are told of it. */
export interface ThisReplica {
  /** New with each start. */
  readonly id: string;
  readonly address: () => string | null;
}

/**
 * Where shards are kept, and which replica runs each: at most one, while its lease lasts, which it
 * renews for all of its shards at once. An SQLite file has one server, so there no lease of an
 * earlier one is waited for.
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

  /** Whether another replica may take a shard over whose lease has run out. */
  get isShared(): boolean {
    return this.#store.dialect === "postgres";
  }

  /** The name of this replica. */
  get replica(): string {
    return this.#replica.id;
  }

  /**
   * Takes the shard for this replica, where no other one runs it.
   *
   * @param gone a replica that was found dead: its shards are free where it has not renewed since
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

  /** The other replica that runs a shard; null for none. */
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
    // One of an earlier version renewed the lease of each shard.
    const until = replica?.leaseUntil ?? leaseUntil ?? 0;
    const isGone = owner === gone?.replica;
    if (isGone && gone.leaseUntil === until) return null;
    const isOver = until - (isGone && gone.leaseUntil === null ? FOUND_DEAD_MS : 0) <= this.#now();
    if (isOver) return null;
    return { replica: owner, address: replica?.address ?? null, leaseUntil: until };
  }

  /**
   * Renews the lease on all shards of this replica.
   *
   * @returns false: it ran out before, and others may have taken them
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

  /** Those of the replicas that may still run shards, with their leases. */
  async living(): Promise<ReadonlyMap<string, number>> {
    const now = this.#now();
    const rows = await REPLICAS.select(this.#store);
    const living = rows.filter(({ leaseUntil }) => leaseUntil > now);
    return new Map(living.map(({ id, leaseUntil }) => [id, leaseUntil] as const));
  }

  /**
   * Saves the state of a shard.
   *
   * @returns whether this replica still had the shard
   */
  keep(id: string, state: string, tick: number): Promise<boolean> {
    const now = this.#now();
    return this.#own(id, { state, tick, savedAt: now, leaseUntil: now + LEASE_MS });
  }

  /**
   * Saves the state, where it is given, and leaves the shard to the replica that opens it next. Of
   * one that was never saved nothing stays.
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

  /** Forgets a shard that this replica runs, or that none does. */
  forget(id: string): Promise<boolean> {
    return transactById(this.#store, async (tx) => {
      const row = await SHARDS.get(tx, id);
      if (row === null) return false;
      if ((await this.#othersOf(tx, row, null)) !== null) return false;
      return SHARDS.delete(tx, id);
    });
  }

  /** Forgets those that were saved long ago, and replicas that are no longer there. */
  async forgetOld(): Promise<void> {
    const now = this.#now();
    await this.#store.transact(async (tx) => {
      await SHARDS.deleteWhere(tx, SHARDS.isBelow("savedAt", now - KEPT_MS));
      await REPLICAS.deleteWhere(tx, REPLICAS.isBelow("leaseUntil", now - 10 * LEASE_MS));
    });
  }

  /** This replica stops, and has no shard any longer. */
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

/** What is left of the lease of a replica that was found dead does not count. */
const FOUND_DEAD_MS = LEASE_MS - STALE_MS;
