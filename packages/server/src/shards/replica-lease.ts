import type { Platform, Timer } from "../platform.ts";
import { MAX_REPLICAS, ReplicaSilence, SILENT_MS } from "./replica-silence.ts";
import {
  LEASE_MS,
  RENEW_MS,
  type GoneReplica,
  type OpenedShard,
  type ShardStorage,
} from "./shard-storage.ts";

/** The holder of a lease. */
export interface LeaseHolder {
  /** Returns the ids of the shards that run on this replica. */
  readonly shards: () => readonly string[];
  /** Called for a shard that may run on another replica by now. */
  readonly lost: (id: string) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The lease of this replica on its shards, renewed for all of them together while there are any. If
 * it can't be renewed in time, they are lost.
 */
export class ReplicaLease {
  readonly #storage: ShardStorage;
  readonly #platform: Platform;
  readonly #holder: LeaseHolder;
  /** Dead replicas: nothing responds at their address under their name. */
  readonly #gone = new Set<string>();
  /** Replicas that did not respond in time, and may be alive but unreachable. */
  readonly #unreachable = new Set<string>();
  readonly #silence: ReplicaSilence;
  #timer: Timer | null = null;
  /** Milliseconds since 1970. */
  #until = 0;
  #renewedAt = 0;
  #isRenewing = false;
  #hasFailed = false;

  constructor(storage: ShardStorage, platform: Platform, holder: LeaseHolder) {
    this.#storage = storage;
    this.#platform = platform;
    this.#holder = holder;
    this.#silence = new ReplicaSilence(platform);
  }

  /** Starts the renewals. On SQLite there are none. */
  start(): void {
    if (!this.#storage.isShared) return;
    this.#timer = this.#platform.every(RENEW_MS, () => this.#check()).unref();
  }

  /** Releases the lease after all shards have stopped, so that other replicas need not wait. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#storage.isShared) await this.#storage.leave().catch(this.#holder.failed);
  }

  /** Receives the result of probing another replica at its address. */
  probed(replica: string, result: "alive" | "gone" | "unknown"): void {
    if (result === "gone") remember(this.#gone, replica);
    // A refused or reset connection may also be caused by a busy replica.
    if (result === "alive") this.#gone.delete(replica);
    if (result === "unknown") remember(this.#unreachable, replica);
    else this.#unreachable.delete(replica);
  }

  /** Returns the replicas with a valid lease, and the time since each renewal in milliseconds. */
  async silences(): Promise<ReadonlyMap<string, number>> {
    const leases = [...(await this.#storage.living())];
    return new Map(
      leases.map(([id, leaseUntil]) => [id, this.#silence.silentForMs(id, leaseUntil)] as const),
    );
  }

  /** Acquires a shard for this replica, unless another one runs it. */
  async open(id: string): Promise<OpenedShard> {
    const first = await this.#open(id, null);
    if (!("owner" in first)) return first;
    const { replica, leaseUntil } = first.owner;
    const isSilent = this.#silence.silentForMs(replica, leaseUntil) >= SILENT_MS;
    if (this.#gone.has(replica)) return this.#open(id, { replica, leaseUntil: null });
    // Its machine may have failed silently.
    if (isSilent && this.#unreachable.has(replica)) return this.#open(id, { replica, leaseUntil });
    return first;
  }

  async #open(id: string, gone: GoneReplica | null): Promise<OpenedShard> {
    // Measured before the row is written, so that it expires here before it expires for others.
    const { now, monotonic } = this.#platform;
    const [until, renewedAt] = [now() + LEASE_MS, monotonic()];
    const hadNone = this.#holder.shards().length === 0;
    const opened = await this.#storage.open(id, gone);
    // For shards that already run, a late renewal must still be detected.
    if (hadNone && this.#holder.shards().length === 0 && "state" in opened) {
      this.#until = until;
      this.#renewedAt = renewedAt;
    }
    return opened;
  }

  #check(): void {
    const shards = this.#holder.shards();
    if (shards.length === 0) return;
    if (this.#platform.now() > this.#until) {
      for (const id of shards) this.#holder.lost(id);
      return;
    }
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    void this.#renew().finally(() => {
      this.#isRenewing = false;
    });
  }

  async #renew(): Promise<void> {
    const { now, monotonic } = this.#platform;
    const [until, renewedAt] = [now() + LEASE_MS, monotonic()];
    const lateMs = renewedAt - this.#renewedAt;
    try {
      const hadIt = await this.#storage.renew();
      // If the renewal is late, another replica may have declared this one dead.
      if (!hadIt || lateMs > 2 * RENEW_MS) await this.#confirm();
      this.#until = until;
      this.#renewedAt = renewedAt;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) this.#holder.failed(error);
      this.#hasFailed = true;
    }
  }

  async #confirm(): Promise<void> {
    for (const id of this.#holder.shards())
      if (!(await this.#storage.isOurs(id))) this.#holder.lost(id);
  }
}

/** Adds a replica. Each start of a replica has a new name, so the oldest names are dropped. */
function remember(replicas: Set<string>, replica: string): void {
  replicas.add(replica);
  const [oldest] = replicas;
  if (replicas.size > MAX_REPLICAS && oldest !== undefined) replicas.delete(oldest);
}
