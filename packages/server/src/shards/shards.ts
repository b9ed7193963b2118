import { CloseCode, MAX_SHARDS_OF_USER, PylonError } from "@pylonsync/protocol";
import type { ShardDefinition, ShardPlayer } from "@pylonsync/functions";
import type { Identity } from "../identity/identity.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Platform, Timer } from "../platform.ts";
import type { JoinTokens } from "./join-tokens.ts";
import type { RunningShard, SentWith } from "./running-shard.ts";
import { ShardConnection, type ShardOutlet } from "./shard-connection.ts";
import type { ShardReplays } from "./shard-replays.ts";
import { ENDED, ShardRuns, type ShardRequest } from "./shard-runs.ts";
import type { ShardServices } from "./shard-services.ts";
import type { ShardOwner } from "./shard-storage.ts";

const CHECK_MS = 1_000;

/** A request to join a shard. */
export interface ShardJoin extends ShardRequest {
  /** The id that the client sent: its user's id; only the admin may choose another one. */
  readonly subscriberId: string;
  readonly identity: Identity;
  /** Whether the client has a join token, which shards with `inviteOnly` require. */
  readonly isInvited: boolean;
  readonly outlet: ShardOutlet;
}

/** The information about a shard that the admin sees. */
export interface ShardInfo {
  readonly id: string;
  readonly running: boolean;
  readonly tick: number;
  readonly subscribers: number;
  readonly input_queue: number;
}

/**
 * The shards of this server and the clients that are in them. A shard starts when the first client
 * joins it, from its saved state, and stops when it is idle or finished.
 */
export class Shards {
  readonly #services: ShardServices;
  readonly #runs: ShardRuns;
  readonly #hostOf = new Map<ShardConnection, RunningShard>();
  /** Joins in progress. They count toward the limit of shards per user. */
  readonly #joining = new Set<Pick<ShardJoin, "shardId"> & { readonly playerId: string }>();
  #timer: Timer | null = null;

  constructor(services: ShardServices) {
    this.#services = services;
    this.#runs = new ShardRuns(services, (host) => {
      for (const connection of host.connections()) this.#hostOf.delete(connection);
    });
  }

  /** The platform that shards run on. */
  get platform(): Platform {
    return this.#services.platform;
  }

  /** Creates and verifies join tokens. */
  get tokens(): JoinTokens {
    return this.#services.tokens;
  }

  /** The recordings of shards. */
  get replays(): ShardReplays {
    return this.#services.replays;
  }

  /** Whether the name is that of this replica, and it is not shutting down. */
  isReplica(name: string): boolean {
    return name === this.#services.storage.replica && !this.#runs.isClosing;
  }

  /** Receives the result of probing another replica at its address. */
  probed(replica: string, result: "alive" | "gone" | "unknown"): void {
    this.#runs.lease.probed(replica, result);
  }

  /** Returns the replicas with a valid lease, and the time since each renewal in milliseconds. */
  replicaSilences(): Promise<ReadonlyMap<string, number>> {
    return this.#runs.lease.silences();
  }

  /** Returns the other replica that runs a shard; null if there is none. */
  ownerOf(id: string): Promise<ShardOwner | null> {
    return this.#services.storage.ownerOf(id);
  }

  /** Whether the app has shards. */
  get hasAny(): boolean {
    return this.#services.definitions().size > 0;
  }

  /** Starts the periodic checks. */
  start(): void {
    this.#timer = this.#services.platform.every(CHECK_MS, () => this.#check()).unref();
    this.#runs.lease.start();
  }

  /**
   * Connects a client, and starts the shard if it is not running.
   *
   * @throws ShardElsewhereError
   * @throws PylonError SHARD_NOT_FOUND, AUTH_REQUIRED, FORBIDDEN,
   *   SUBSCRIBE_FAILED, UNAUTHORIZED, STORAGE_UNAVAILABLE
   */
  async join(join: ShardJoin): Promise<ShardConnection> {
    try {
      return await this.#join(join);
    } catch (error) {
      if (error instanceof PylonError) throw error;
      this.#services.observer.broke("shard can't be joined", join.shardId.slice(0, 130), error);
      throw new PylonError("STORAGE_UNAVAILABLE", "The shard can't be joined at the moment.", {
        extra: { retry_after_secs: 1 },
      });
    }
  }

  async #join(join: ShardJoin): Promise<ShardConnection> {
    const { shardId, subscriberId, identity, role } = join;
    checkKeyScope(identity.caller, role === "spectator" ? "read" : "write");
    const player = playerOf(identity, subscriberId);
    this.#checkInvited(join);
    this.#checkShare(player.id, shardId);
    const joining = { playerId: player.id, shardId };
    this.#joining.add(joining);
    try {
      return await this.#joinAs(player, join);
    } finally {
      this.#joining.delete(joining);
    }
  }

  async #joinAs(player: ShardPlayer, join: ShardJoin): Promise<ShardConnection> {
    const { identity, role, outlet } = join;
    if (join.isInvited) await this.#checkSession(identity);
    const connection = new ShardConnection(player, identity, outlet, role);
    const host = await this.#runs.open(join);
    // Before its thread answers: its views, and then inputs for it, may arrive earlier.
    this.#hostOf.set(connection, host);
    try {
      await host.join(connection);
    } catch (error) {
      this.#hostOf.delete(connection);
      // A shard that was started for a rejected client is not kept.
      if (host.isEmpty && host.tick === 0) void this.#runs.stop(host, ENDED, "leave as saved");
      throw error;
    }
    // The session may have changed before session changes were reported to the connection.
    const status = await this.#services.sessionStatus(identity).catch((error: unknown) => {
      this.#dismiss(connection, "unknown");
      throw error;
    });
    if (status === "valid") return connection;
    this.#dismiss(connection, status);
    throw new PylonError("UNAUTHORIZED", "The session has ended.");
  }

  leave(connection: ShardConnection): void {
    this.#hostOf.get(connection)?.leave(connection);
    this.#hostOf.delete(connection);
  }

  /**
   * Receives an input of a connected client.
   *
   * @returns its number in the shard
   * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED
   */
  input(connection: ShardConnection, input: unknown, sent: SentWith): number {
    const host = this.#hostOf.get(connection);
    if (host === undefined) throw new PylonError("INPUT_REJECTED", "shard is stopped");
    const { observer } = this.#services;
    try {
      const seq = host.input(connection, input, sent);
      observer.input(host.name, "taken");
      return seq;
    } catch (error) {
      observer.input(host.name, "refused");
      throw error;
    }
  }

  /** Returns a running shard. @throws PylonError SHARD_NOT_FOUND */
  get(id: string): RunningShard {
    return this.#runs.get(id);
  }

  /** Returns the definition of a shard, running or not. @throws PylonError SHARD_NOT_FOUND */
  definitionOf(id: string): ShardDefinition {
    return this.#runs.definitionOf(id);
  }

  /** Returns the shards that run on this replica, with their players. */
  running(): { readonly id: string; readonly players: number; has(userId: string): boolean }[] {
    return this.#runs.all().map((host) => ({
      id: host.id,
      players: host.players,
      has: (userId) => host.connectionOf(userId) !== undefined,
    }));
  }

  list(): ShardInfo[] {
    return this.#runs.all().map(infoOf);
  }

  /** Stops a running shard, for the admin. @throws PylonError SHARD_NOT_FOUND */
  async stop(id: string): Promise<void> {
    await this.#runs.stop(this.get(id), [CloseCode.SHARD_ENDED, "the shard was stopped"], "keep");
  }

  /**
   * Stops a shard if it is running, and deletes its saved state.
   *
   * @returns whether the shard existed
   */
  async forget(id: string): Promise<boolean> {
    const host = this.#runs.find(id);
    if (host === undefined) {
      const isForgotten = await this.#services.storage.forget(id);
      if (isForgotten) await this.replays.openRun(id);
      return isForgotten;
    }
    await this.#runs.stop(host, ENDED, "discard");
    return true;
  }

  /** Called after a reload of the app: shards continue with the new code; removed ones stop. */
  replace(): void {
    this.#runs.replaceCode();
  }

  /** Closes connections whose session was revoked or changed; clients of changed ones reconnect. */
  dismiss(matches: (identity: Identity) => boolean, status: "revoked" | "changed"): void {
    for (const connection of [...this.#hostOf.keys()])
      if (matches(connection.identity)) this.#dismiss(connection, status);
  }

  /** Returns the number of running shards, of their players and of their connections. */
  stats(): { readonly running: number; readonly players: number; readonly connections: number } {
    const hosts = this.#runs.all();
    return {
      running: hosts.length,
      players: hosts.reduce((sum, { players }) => sum + players, 0),
      connections: this.#hostOf.size,
    };
  }

  /** Called before the server stops: on a shared store, shards move to other replicas now. */
  async beginDrain(): Promise<void> {
    if (this.#services.storage.isShared) await this.close();
  }

  /** Stops all shards when the server stops: they are saved, and their clients are disconnected. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#runs.close();
  }

  /**
   * Checks the session of a join token, which may have ended after the token was created.
   *
   * @throws PylonError UNAUTHORIZED, JOIN_TOKEN_REFUSED
   */
  async #checkSession(identity: Identity): Promise<void> {
    const status = await this.#services.sessionStatus(identity);
    if (status === "revoked") throw new PylonError("UNAUTHORIZED", "The session has ended.");
    if (status === "changed")
      throw new PylonError("JOIN_TOKEN_REFUSED", "The session has changed.");
  }

  /** @throws PylonError SHARD_NOT_FOUND, FORBIDDEN */
  #checkInvited({ shardId, isInvited, identity }: ShardJoin): void {
    const isOpen = this.definitionOf(shardId).inviteOnly !== true;
    if (isOpen || isInvited || identity.caller.isAdmin) return;
    throw new PylonError("FORBIDDEN", "This shard is by invitation only.", {
      hint: "Connect with a join token, such as from the matchmaker.",
    });
  }

  /** @throws PylonError SUBSCRIBE_FAILED */
  #checkShare(playerId: string, shardId: string): void {
    const others = new Set<string>();
    for (const [connection, host] of this.#hostOf)
      if (connection.player.id === playerId && host.id !== shardId) others.add(host.id);
    for (const joining of this.#joining)
      if (joining.playerId === playerId && joining.shardId !== shardId) others.add(joining.shardId);
    if (others.size >= MAX_SHARDS_OF_USER)
      throw new PylonError(
        "SUBSCRIBE_FAILED",
        `A user may be in at most ${MAX_SHARDS_OF_USER} shards of a server.`,
      );
  }

  #dismiss(connection: ShardConnection, status: keyof typeof DISMISSALS): void {
    const [code, reason] = DISMISSALS[status];
    connection.close(code, reason);
    this.leave(connection);
  }

  #check(): void {
    const { platform } = this.#services;
    const now = platform.now();
    this.dismiss(({ expiresAt }) => expiresAt <= now, "revoked");
    for (const connection of [...this.#hostOf.keys()])
      if (!connection.isOpen) this.leave(connection);
    this.#runs.check();
  }
}

const DISMISSALS = {
  revoked: [CloseCode.SESSION_ENDED, "the session has ended"],
  changed: [CloseCode.TRY_AGAIN_LATER, "the session has changed"],
  unknown: [CloseCode.TRY_AGAIN_LATER, "the session can't be checked at the moment"],
} as const;

/** Returns the information about a running shard that the admin sees. */
export function infoOf(host: RunningShard): ShardInfo {
  return {
    id: host.id,
    running: host.isRunning,
    tick: host.tick,
    subscribers: host.players,
    input_queue: host.queued,
  };
}

/**
 * Returns the player of a client, as determined by its token.
 *
 * @throws PylonError AUTH_REQUIRED, FORBIDDEN
 */
function playerOf({ caller }: Identity, subscriberId: string): ShardPlayer {
  const { userId, isAdmin, isGuest, tenantId, roles } = caller;
  if (isAdmin && subscriberId !== "") return { id: subscriberId, isGuest, tenantId, roles };
  if (userId === null)
    throw new PylonError("AUTH_REQUIRED", "You are not signed in.", {
      hint: "Sign in, at least as a guest, and send the token.",
    });
  if (subscriberId !== userId)
    throw new PylonError("FORBIDDEN", "The subscriber is not the user of this token.", {
      field: "sid",
      hint: "Send the id of the signed-in user.",
    });
  return { id: userId, isGuest, tenantId, roles };
}
