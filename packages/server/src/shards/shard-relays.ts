import { CloseCode, JOIN_TOKEN_MS, joinProtocol, SHARD_PROTOCOL } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { sleep, type Platform, type Timer } from "../platform.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { ShardConnection } from "./shard-connection.ts";
import { ShardElsewhereError } from "./shard-elsewhere-error.ts";
import { ShardRelay, type RelaySocket, type RelayStart } from "./shard-relay.ts";
import { SILENT_MS } from "./replica-silence.ts";
import type { ShardOwner } from "./shard-storage.ts";
import { NOT_HERE } from "./shard-runs.ts";
import type { ShardJoin, Shards } from "./shards.ts";

/** Whether a replica responds at its address. "unknown": nothing responded in time. */
export type ProbeResult = "alive" | "gone" | "unknown";

/** The network to other replicas. */
export interface ReplicaNetwork {
  openSocket(url: string, protocols: readonly string[], replica: string): RelaySocket;
  probe(address: string, replica: string): Promise<ProbeResult>;
  /** Sends an HTTP request to another replica. */
  fetch(url: string, request: ForwardedRequest): Promise<Response>;
}

/** A request that is forwarded to another replica. */
export interface ForwardedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

/** The header with the name of the replica that a request from another one is meant for. */
export const RELAY_HEADER = "x-pylon-relay";

/**
 * The maximum time that a client waits while its shard moves to another replica, in milliseconds. A
 * killed replica is detected sooner.
 */
const MAX_HANDOVER_MS = 4_000;
const RETRY_MS = 100;
const NOT_HERE_CODE: number = CloseCode.TRY_AGAIN_LATER;
const CHECK_MS = 500;
/** The time without a renewal of its lease after which a replica is probed, in milliseconds. */
const SUSPECT_MS = SILENT_MS / 2;
/** The forwarded headers: the credentials of the caller, and the type of the body. */
const FORWARDED_HEADERS = ["authorization", "cookie", "origin", "content-type", "accept"] as const;

/** The join of a client that may have to be relayed to another replica. */
export interface RelayedJoin extends ShardJoin {
  readonly client: RelayStart["client"];
  /** Returns whether the client has disconnected in the meantime. */
  readonly isGone: () => boolean;
}

/** The methods of Shards that relays use. */
interface RelayedShards extends Pick<Shards, "join" | "ownerOf" | "probed" | "replicaSilences"> {
  readonly tokens: Pick<JoinTokens, "sign">;
}

/** Connects clients to their shards, on this replica or through another one. */
export class ShardRelays {
  readonly #shards: RelayedShards;
  readonly #network: ReplicaNetwork;
  readonly #platform: Platform;
  /** The open relays, with their destinations. */
  readonly #open = new Map<ShardRelay, { readonly replica: string; readonly address: string }>();
  /** Null while there are no relays: a timer costs CPU in every server, most of which have none. */
  #timer: Timer | null = null;
  #isChecking = false;

  constructor(shards: RelayedShards, network: ReplicaNetwork, platform: Platform) {
    this.#shards = shards;
    this.#network = network;
    this.#platform = platform;
  }

  /** The number of open relays. */
  get size(): number {
    return this.#open.size;
  }

  /** Ends all relays. */
  stop(): void {
    for (const relay of [...this.#open.keys()]) relay.lost();
  }

  /**
   * Joins a shard on this replica, or through the one that runs it. While it moves, the client
   * waits.
   *
   * @throws the errors of Shards.join
   */
  async enter(join: RelayedJoin): Promise<ShardConnection | ShardRelay> {
    const { monotonic } = this.#platform;
    const deadline = monotonic() + MAX_HANDOVER_MS;
    for (;;) {
      try {
        return await this.#shards.join(join);
      } catch (error) {
        if (!(error instanceof ShardElsewhereError)) throw error;
        const relay = await this.#through(error.owner, join);
        if (relay !== null) return relay;
        if (monotonic() > deadline || join.isGone()) throw error;
        await sleep(this.#platform, RETRY_MS);
      }
    }
  }

  /** @returns null if the other replica does not run the shard, or no longer does */
  async #through(owner: ShardOwner, join: RelayedJoin): Promise<ShardRelay | null> {
    const { replica, address } = owner;
    if (address === null) return null;
    const probed = await this.#network.probe(address, replica);
    this.#shards.probed(replica, probed);
    if (probed !== "alive") return null;
    const { shardId, subscriberId, identity, role, isInvited, client, outlet } = join;
    const claims = { shardId, subscriberId, identity, role, relay: replica };
    const token = await this.#shards.tokens.sign(claims, JOIN_TOKEN_MS);
    const url = new URL(`${address}/shards`.replace(/^http/, "ws"));
    url.searchParams.set("shard", shardId);
    const { rate = null } = outlet;
    if (rate !== null) url.searchParams.set("rate", String(rate));
    const protocols = [...(outlet.takesDeltas ? [SHARD_PROTOCOL] : []), joinProtocol(token)];
    const relay: ShardRelay = new ShardRelay({
      socket: this.#network.openSocket(url.href, protocols, replica),
      client,
      platform: this.#platform,
      takesReconnect: isInvited,
      onEnd: () => this.#ended(relay),
    });
    this.#open.set(relay, { replica, address });
    this.#timer ??= this.#platform.every(CHECK_MS, () => void this.#checkOnce()).unref();
    const outcome = await relay.opened;
    if (outcome === "open") return relay;
    // The shard has just moved or was lost: this is retried without notifying the client.
    const isNotHere = outcome.code === NOT_HERE_CODE && outcome.reason === NOT_HERE;
    if (isNotHere || outcome.code < 1002 || outcome.code === 1006) return null;
    client.close(outcome.code, outcome.reason);
    return relay;
  }

  /**
   * Forwards a request to the replica that runs the shard, with the credentials of the caller.
   *
   * @param body JSON; null: none
   * @returns null if no other replica runs it, or if the request was already forwarded
   */
  async forward(
    shardId: string,
    { request, target }: RequestContext,
    body: string | null,
  ): Promise<Response | null> {
    if (request.headers.has(RELAY_HEADER)) return null;
    const owner = await this.#shards.ownerOf(shardId);
    if (owner === null || owner.address === null) return null;
    const headers: Record<string, string> = { [RELAY_HEADER]: owner.replica };
    for (const name of FORWARDED_HEADERS) {
      const value = request.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    const { method, signal } = request;
    try {
      const forwarded = { method, headers, body, signal };
      const answer = await this.#network.fetch(owner.address + target, forwarded);
      const type = answer.headers.get("content-type") ?? "application/json";
      const kept = { "Content-Type": type, "Cache-Control": "no-cache" };
      return new Response(answer.body, { status: answer.status, headers: kept });
    } catch (cause) {
      throw Object.assign(new ShardElsewhereError(owner), { cause });
    }
  }

  #ended(relay: ShardRelay): void {
    this.#open.delete(relay);
    if (this.#open.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Checks the other replicas, unless a check is still running. */
  async #checkOnce(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    await this.#check().finally(() => {
      this.#isChecking = false;
    });
  }

  /** Probes silent replicas, because a failed machine does not close its sockets. */
  async #check(): Promise<void> {
    const silences = await this.#shards.replicaSilences().catch(() => null);
    if (silences === null) return;
    const suspects = new Map<string, string>();
    for (const { replica, address } of this.#open.values())
      if ((silences.get(replica) ?? Infinity) >= SUSPECT_MS) suspects.set(replica, address);
    await Promise.all([...suspects].map(([replica, address]) => this.#probe(replica, address)));
  }

  /** Probes a replica, which may only have lost the database. If it is dead, closes its relays. */
  async #probe(replica: string, address: string): Promise<void> {
    const probed = await this.#network.probe(address, replica);
    this.#shards.probed(replica, probed);
    // The time of the probe counts as well.
    const silences = await this.#shards.replicaSilences().catch(() => null);
    // If the database does not respond, no replica counts as silent.
    const silentMs = silences === null ? 0 : (silences.get(replica) ?? Infinity);
    if (probed === "alive" || silentMs < SILENT_MS) return;
    for (const [relay, to] of [...this.#open]) if (to.replica === replica) relay.lost();
  }
}
