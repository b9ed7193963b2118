import { CloseCode, JOIN_TOKEN_MS, joinProtocol, SHARD_PROTOCOL } from "@pylonsync/protocol";
import type { RequestContext } from "../request/context.ts";
import { sleep, type Platform, type Timer } from "../platform.ts";
import type { ShardConnection } from "./shard-connection.ts";
import { ShardElsewhereError } from "./shard-elsewhere-error.ts";
import { ShardRelay, type RelaySocket, type RelayStart } from "./shard-relay.ts";
import { SILENT_MS } from "./replica-silence.ts";
import type { ShardOwner } from "./shard-storage.ts";
import { NOT_HERE, type ShardJoin, type Shards } from "./shards.ts";

/** Whether a replica is where it should be. "unknown": nothing answered in time. */
export type ProbeResult = "alive" | "gone" | "unknown";

/** How other replicas are reached. */
export interface ReplicaNetwork {
  openSocket(url: string, protocols: readonly string[], replica: string): RelaySocket;
  probe(address: string, replica: string): Promise<ProbeResult>;
  /** Asks another replica over HTTP. */
  fetch(url: string, request: ForwardedRequest): Promise<Response>;
}

/** A request as it is passed on to another replica. */
export interface ForwardedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

/** Names the replica that a request of another one is meant for. */
export const RELAY_HEADER = "x-pylon-relay";

/**
 * How long a client waits while its shard moves from one replica to another, in milliseconds. A
 * killed one is found dead before.
 */
const HANDOVER_MS = 4_000;
const RETRY_MS = 100;
const NOT_HERE_CODE: number = CloseCode.TRY_AGAIN_LATER;
const CHECK_MS = 500;
/** A replica that has not renewed its lease for so long is asked whether it is there, in ms. */
const SUSPECT_MS = SILENT_MS / 2;
/** What says who asks, and how the body is to be read. */
const FORWARDED_HEADERS = ["authorization", "cookie", "origin", "content-type", "accept"] as const;

/** Who a client is that another replica may have to take. */
export interface RelayedJoin extends ShardJoin {
  readonly client: RelayStart["client"];
  /** Whether the client is gone in the meantime. */
  readonly isGone: () => boolean;
}

/** Takes clients to their shards, here or through another replica. */
export class ShardRelays {
  readonly #shards: Shards;
  readonly #network: ReplicaNetwork;
  readonly #platform: Platform;
  /** Relays that are open, and where to. */
  readonly #open = new Map<ShardRelay, { readonly replica: string; readonly address: string }>();
  #timer: Timer | null = null;
  #isChecking = false;

  constructor(shards: Shards, network: ReplicaNetwork, platform: Platform) {
    this.#shards = shards;
    this.#network = network;
    this.#platform = platform;
  }

  /** Relays that are open. */
  get size(): number {
    return this.#open.size;
  }

  start(): void {
    const check = async (): Promise<void> => {
      if (this.#isChecking) return;
      this.#isChecking = true;
      await this.#check().finally(() => {
        this.#isChecking = false;
      });
    };
    this.#timer = this.#platform.every(CHECK_MS, () => void check()).unref();
  }

  stop(): void {
    this.#timer?.cancel();
    for (const relay of [...this.#open.keys()]) relay.lost();
  }

  /**
   * Joins a shard here, or through the replica that runs it. While it moves, the client waits.
   *
   * @throws as Shards.join
   */
  async enter(join: RelayedJoin): Promise<ShardConnection | ShardRelay> {
    const { monotonic } = this.#platform;
    const deadline = monotonic() + HANDOVER_MS;
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

  /** @returns null where the other replica does not run the shard, or no longer */
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
      onEnd: () => void this.#open.delete(relay),
    });
    this.#open.set(relay, { replica, address });
    const outcome = await relay.opened;
    if (outcome === "open") return relay;
    // It moved on in this moment, or was lost: the client need not know.
    const isNotHere = outcome.code === NOT_HERE_CODE && outcome.reason === NOT_HERE;
    if (isNotHere || outcome.code < 1002 || outcome.code === 1006) return null;
    client.close(outcome.code, outcome.reason);
    return relay;
  }

  /**
   * Passes a request on to the replica that runs the shard, with the credentials of the caller.
   *
   * @param body JSON; null: none
   * @returns null where no other replica runs it, or it was passed on before
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

  /** A machine that vanished closes no socket. */
  async #check(): Promise<void> {
    if (this.#open.size === 0) return;
    const silences = await this.#shards.replicaSilences().catch(() => null);
    if (silences === null) return;
    const suspects = new Map<string, string>();
    for (const { replica, address } of this.#open.values())
      if ((silences.get(replica) ?? Infinity) >= SUSPECT_MS) suspects.set(replica, address);
    await Promise.all([...suspects].map(([replica, address]) => this.#ask(replica, address)));
  }

  /** It may be there and have lost the database alone; if not, its clients go elsewhere. */
  async #ask(replica: string, address: string): Promise<void> {
    const probed = await this.#network.probe(address, replica);
    this.#shards.probed(replica, probed);
    // The time in which it did not answer counts.
    const silences = await this.#shards.replicaSilences().catch(() => null);
    // Where the database can't say, no replica is silent.
    const silentMs = silences === null ? 0 : (silences.get(replica) ?? Infinity);
    if (probed === "alive" || silentMs < SILENT_MS) return;
    for (const [relay, to] of [...this.#open]) if (to.replica === replica) relay.lost();
  }
}
