import type { Platform, Timer } from "../platform.ts";
import { MAX_REPLICAS, ReplicaSilence, SILENT_MS } from "./replica-silence.ts";
import {
  LEASE_MS,
  RENEW_MS,
  type GoneReplica,
  type OpenedShard,
  type ShardStorage,
} from "./shard-storage.ts";

/** What a lease asks of those who have it, and tells them. */
export interface LeaseHolder {
  /** Those that run here. */
  readonly shards: () => readonly string[];
  /** The shard may run elsewhere by now. */
  readonly lost: (id: string) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The right of this replica to run its shards, renewed for all of them at once while there are any.
 * Where it could not be renewed in time, they are lost.
 */
export class ReplicaLease {
  readonly #storage: ShardStorage;
  readonly #platform: Platform;
  readonly #holder: LeaseHolder;
  /** Replicas that were found dead: nothing answers for them. */
  readonly #gone = new Set<string>();
  /** Replicas that did not answer in time: they may be there, out of reach. */
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

  /** Begins to renew it. On SQLite nothing is to be renewed. */
  start(): void {
    if (!this.#storage.isShared) return;
    this.#timer = this.#platform.every(RENEW_MS, () => this.#check()).unref();
  }

  /** The shards are stopped: others need not wait. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    if (this.#storage.isShared) await this.#storage.leave().catch(this.#holder.failed);
  }

  /** What asking another replica at its address came to. */
  probed(replica: string, result: "alive" | "gone" | "unknown"): void {
    if (result === "gone") remember(this.#gone, replica);
    // A connection that was refused or reset may be that of a replica that was busy.
    if (result === "alive") this.#gone.delete(replica);
    if (result === "unknown") remember(this.#unreachable, replica);
    else this.#unreachable.delete(replica);
  }

  /** The replicas whose lease lasts, and for how long each has not renewed it, in milliseconds. */
  async silences(): Promise<ReadonlyMap<string, number>> {
    const leases = [...(await this.#storage.living())];
    return new Map(
      leases.map(([id, leaseUntil]) => [id, this.#silence.look(id, leaseUntil)] as const),
    );
  }

  /** Takes a shard for this replica, where no other one runs it. */
  async open(id: string): Promise<OpenedShard> {
    const first = await this.#open(id, null);
    if (!("owner" in first)) return first;
    const { replica, leaseUntil } = first.owner;
    const isSilent = this.#silence.look(replica, leaseUntil) >= SILENT_MS;
    if (this.#gone.has(replica)) return this.#open(id, { replica, leaseUntil: null });
    // Its machine may have vanished without a word.
    if (isSilent && this.#unreachable.has(replica)) return this.#open(id, { replica, leaseUntil });
    return first;
  }

  async #open(id: string, gone: GoneReplica | null): Promise<OpenedShard> {
    // From before the row was written: the lease is over here before it is over for others.
    const { now, monotonic } = this.#platform;
    const [until, renewedAt] = [now() + LEASE_MS, monotonic()];
    const hadNone = this.#holder.shards().length === 0;
    const opened = await this.#storage.open(id, gone);
    // Of what runs already a late renewal has to be looked at by itself.
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
      // Late, another replica may have found this one dead.
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

/** Each start of a replica has a name of its own: those that were named first are forgotten. */
function remember(replicas: Set<string>, replica: string): void {
  replicas.add(replica);
  const [oldest] = replicas;
  if (replicas.size > MAX_REPLICAS && oldest !== undefined) replicas.delete(oldest);
}
