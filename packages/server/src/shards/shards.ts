import {
  CloseCode,
  MAX_SHARD_STATE_BYTES,
  MAX_SHARDS,
  MAX_SHARDS_OF_USER,
  PylonError,
} from "@pylonsync/protocol";
import type { ShardDefinition, ShardPlayer } from "@pylonsync/functions";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Platform, Timer } from "../platform.ts";
import { ShardConnection, type ShardOutlet } from "./shard-connection.ts";
import { nameOf, ShardHost, type ShardFate, type ShardObserver } from "./shard-host.ts";
import { LEASE_MS, type ShardStorage } from "./shard-storage.ts";
import { Simulation, versionOf, type SavedSimulation } from "./simulation.ts";

/** `NAME`, or `NAME:KEY`. */
const SHARD_ID = /^[\w-]{1,64}(?::[\w.-]{1,64})?$/;
const CHECK_MS = 1_000;
/** How often a lease is renewed, in milliseconds. */
const RENEW_MS = 5_000;
const DEFAULT_SAVE_SECONDS = 10;

/** The shards of an app by name, as they were loaded. */
export type ShardDefinitions = ReadonlyMap<string, ShardDefinition>;

/** What shards need. */
export interface ShardServices {
  readonly definitions: () => ShardDefinitions;
  readonly storage: ShardStorage;
  readonly platform: Platform;
  readonly sessionStatus: (identity: Identity) => Promise<SessionStatus>;
  readonly observer: Omit<ShardObserver, "ended"> & {
    /** Something outside of the app's code failed. */
    broke(message: string, id: string, error: unknown): void;
  };
}

/** Who wants to join which shard. */
export interface ShardJoin {
  readonly shardId: string;
  /** What the client calls itself: its user's id, which only the admin may choose. */
  readonly subscriberId: string;
  readonly identity: Identity;
  readonly outlet: ShardOutlet;
}

/** A shard, as the admin sees it. */
export interface ShardInfo {
  readonly id: string;
  readonly running: boolean;
  readonly tick: number;
  readonly subscribers: number;
  readonly input_queue: number;
}

interface Running {
  readonly host: ShardHost;
  savedAt: number;
  renewedAt: number;
  /** Until when no other replica may run it, in milliseconds since 1970. */
  leaseUntil: number;
  isKeeping: boolean;
}

/**
 * The shards that this server runs. One starts with the first who joins it, from where it was
 * saved, and stops when it is idle or over.
 */
export class Shards {
  readonly #services: ShardServices;
  readonly #running = new Map<string, Running>();
  readonly #starting = new Map<string, Promise<Running>>();
  readonly #stopping = new Map<string, Promise<void>>();
  readonly #hostOf = new Map<ShardConnection, ShardHost>();
  #timer: Timer | null = null;
  #isClosing = false;

  constructor(services: ShardServices) {
    this.#services = services;
  }

  /** What it runs on. */
  get platform(): Platform {
    return this.#services.platform;
  }

  /** Whether the app has shards. */
  get hasAny(): boolean {
    return this.#services.definitions().size > 0;
  }

  /** Begins to look after what comes due. */
  start(): void {
    this.#timer = this.#services.platform.every(CHECK_MS, () => this.#check()).unref();
  }

  /**
   * Connects a client, and starts the shard where it does not run.
   *
   * @throws PylonError SHARD_NOT_FOUND, SHARD_ELSEWHERE, AUTH_REQUIRED, FORBIDDEN,
   *   SUBSCRIBE_FAILED, UNAUTHORIZED, STORAGE_UNAVAILABLE
   */
  async join(join: ShardJoin): Promise<ShardConnection> {
    try {
      return await this.#join(join);
    } catch (error) {
      if (error instanceof PylonError) throw error;
      this.#services.observer.broke("shard can't be joined", join.shardId.slice(0, 130), error);
      throw new PylonError("STORAGE_UNAVAILABLE", "The shard can't be joined now.", {
        extra: { retry_after_secs: 1 },
      });
    }
  }

  async #join({ shardId, subscriberId, identity, outlet }: ShardJoin): Promise<ShardConnection> {
    checkKeyScope(identity.caller, "write");
    const player = playerOf(identity, subscriberId);
    this.#checkShare(player.id, shardId);
    const connection = new ShardConnection(player, identity, outlet);
    const { host } = await this.#open(shardId);
    try {
      host.join(connection);
    } catch (error) {
      // One that was started for nobody is not worth keeping.
      if (host.isEmpty && host.tick === 0) void this.#stop(host, SHARD_OVER, "leave as saved");
      throw error;
    }
    this.#hostOf.set(connection, host);
    // Only from here on is it told when its session ends, which may have been while it joined.
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
   * Takes an input of a connected client.
   *
   * @returns its number in the shard
   * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED
   */
  input(connection: ShardConnection, input: unknown, clientSeq: number | null): number {
    const host = this.#hostOf.get(connection);
    if (host === undefined) throw new PylonError("INPUT_REJECTED", "shard is stopped");
    const { observer } = this.#services;
    try {
      const seq = host.input(connection, input, clientSeq);
      observer.input(host.name, "taken");
      return seq;
    } catch (error) {
      observer.input(host.name, "refused");
      throw error;
    }
  }

  /** The running shard. @throws PylonError SHARD_NOT_FOUND */
  get(id: string): ShardHost {
    const running = this.#running.get(id);
    if (running === undefined) throw notFound(id);
    return running.host;
  }

  list(): ShardInfo[] {
    return [...this.#running.values()].map(({ host }) => infoOf(host));
  }

  /** Stops a running shard, for the admin. @throws PylonError SHARD_NOT_FOUND */
  async stop(id: string): Promise<void> {
    await this.#stop(this.get(id), [CloseCode.SHARD_ENDED, "the shard was stopped"], "keep");
  }

  /**
   * Stops a shard where it runs, and forgets what was saved of it.
   *
   * @returns whether there was one
   */
  async forget(id: string): Promise<boolean> {
    const running = this.#running.get(id);
    if (running === undefined) return this.#services.storage.forget(id);
    await this.#stop(running.host, SHARD_OVER, "discard");
    return true;
  }

  /** The app was loaded again: shards go on with the new code, those that are gone stop. */
  replace(): void {
    const definitions = this.#services.definitions();
    for (const { host } of this.#running.values()) {
      const definition = definitions.get(host.name);
      if (definition === undefined) void this.#stop(host, SHARD_OVER, "keep");
      else host.replace(definition);
    }
  }

  /** Ends the connections of sessions that ended, or that changed: those come back. */
  dismiss(isMeant: (identity: Identity) => boolean, status: "revoked" | "changed"): void {
    for (const connection of [...this.#hostOf.keys()])
      if (isMeant(connection.identity)) this.#dismiss(connection, status);
  }

  /** How many run, and for whom. */
  stats(): { readonly running: number; readonly players: number; readonly connections: number } {
    const hosts = [...this.#running.values()];
    return {
      running: hosts.length,
      players: hosts.reduce((sum, { host }) => sum + host.players, 0),
      connections: this.#hostOf.size,
    };
  }

  /** The server stops: all shards are saved, and clients go elsewhere. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#timer?.cancel();
    await Promise.allSettled(this.#starting.values());
    for (const { host } of [...this.#running.values()])
      void this.#stop(host, [CloseCode.GOING_AWAY, "the server is stopping"], "keep");
    await Promise.all(this.#stopping.values());
  }

  /** @throws PylonError SUBSCRIBE_FAILED */
  #checkShare(playerId: string, shardId: string): void {
    const others = new Set<string>();
    for (const [connection, host] of this.#hostOf)
      if (connection.player.id === playerId && host.id !== shardId) others.add(host.id);
    if (others.size >= MAX_SHARDS_OF_USER)
      throw new PylonError(
        "SUBSCRIBE_FAILED",
        `A user is in at most ${MAX_SHARDS_OF_USER} shards of a server.`,
      );
  }

  async #open(id: string): Promise<Running> {
    await this.#stopping.get(id);
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    const definition = this.#definitionOf(id);
    if (this.#isClosing) throw new PylonError("NOT_READY", "The server is stopping.");
    const starting = this.#starting.get(id);
    if (starting !== undefined) return starting;
    if (this.#running.size + this.#starting.size >= MAX_SHARDS)
      throw new PylonError("SUBSCRIBE_FAILED", `A server runs at most ${MAX_SHARDS} shards.`);
    const started = this.#start(id, definition).finally(() => this.#starting.delete(id));
    this.#starting.set(id, started);
    return started;
  }

  /** @throws PylonError SHARD_NOT_FOUND */
  #definitionOf(id: string): ShardDefinition {
    const definition = this.#services.definitions().get(nameOf(id));
    const isInstance = id.includes(":");
    if (!SHARD_ID.test(id) || definition === undefined) throw notFound(id);
    if (isInstance && definition.instances !== true) throw notFound(id);
    return definition;
  }

  async #start(id: string, definition: ShardDefinition): Promise<Running> {
    const { storage, platform, observer } = this.#services;
    // From before the row was written: the lease is over here before it is over for others.
    const leaseUntil = platform.now() + LEASE_MS;
    const text = await storage.open(id);
    const now = platform.monotonic();
    try {
      const simulation = simulationOf(id, definition, text, platform);
      const host = new ShardHost(id, simulation, platform, {
        ...observer,
        ended: (ended, fate) => void this.#stop(ended, SHARD_OVER, fate),
      });
      const running = { host, savedAt: now, renewedAt: now, leaseUntil, isKeeping: false };
      this.#running.set(id, running);
      return running;
    } catch (error) {
      observer.failed(id, "init", error);
      await storage.release(id, null, 0);
      throw new PylonError("HANDLER_ERROR", "The shard can't start: the server's log says why.");
    }
  }

  /** Takes it out of those that run at once; what it leaves is written while others go on. */
  #stop(
    host: ShardHost,
    [code, reason]: readonly [CloseCode, string],
    fate: ShardFate,
  ): Promise<void> {
    if (!host.isRunning) return this.#stopping.get(host.id) ?? Promise.resolve();
    for (const connection of host.connections()) this.#hostOf.delete(connection);
    host.stop(code, reason);
    this.#running.delete(host.id);
    const { observer } = this.#services;
    const stopping = this.#settle(host, fate)
      .catch((error: unknown) => observer.broke("shard was not saved", host.id, error))
      .finally(() => this.#stopping.delete(host.id));
    this.#stopping.set(host.id, stopping);
    return stopping;
  }

  async #settle(host: ShardHost, fate: ShardFate): Promise<void> {
    const { storage } = this.#services;
    if (fate === "discard") await storage.forget(host.id);
    else await storage.release(host.id, fate === "keep" ? this.#savedText(host) : null, host.tick);
  }

  /** @returns null, and reports it, for a state that can't be saved; one too large is the last */
  #savedText(host: ShardHost): string | null {
    try {
      const text = host.save();
      if (Buffer.byteLength(text) <= MAX_SHARD_STATE_BYTES) return text;
      void this.#stop(host, SHARD_OVER, "leave as saved");
      throw new RangeError(`The state has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
    } catch (error) {
      this.#services.observer.failed(host.id, "save", error);
      return null;
    }
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
    for (const running of [...this.#running.values()]) {
      running.host.check();
      if (running.host.isRunning) this.#look(running);
    }
  }

  /** Saves it or renews its lease where that is due, one at a time. */
  #look(running: Running): void {
    const { host } = running;
    const { storage, platform } = this.#services;
    const now = platform.monotonic();
    if (storage.isShared && platform.now() > running.leaseUntil) {
      void this.#stop(host, ELSEWHERE, "leave as saved");
      return;
    }
    const { saveSeconds = DEFAULT_SAVE_SECONDS } = host.definition;
    const isSaveDue = saveSeconds > 0 && now - running.savedAt >= saveSeconds * 1000;
    const isRenewDue = storage.isShared && now - running.renewedAt >= RENEW_MS;
    if (running.isKeeping || !(isSaveDue || isRenewDue)) return;
    running.isKeeping = true;
    void this.#keep(running, isSaveDue).finally(() => {
      running.isKeeping = false;
    });
  }

  async #keep(running: Running, isSave: boolean): Promise<void> {
    const { host } = running;
    const { storage, platform, observer } = this.#services;
    if (isSave) running.savedAt = platform.monotonic();
    const text = isSave ? this.#savedText(host) : null;
    if (!host.isRunning) return;
    const [now, leaseUntil] = [platform.monotonic(), platform.now() + LEASE_MS];
    try {
      const isOurs = await storage.keep(host.id, text, host.tick);
      if (!isOurs) return await this.#stop(host, ELSEWHERE, "leave as saved");
      running.renewedAt = now;
      running.leaseUntil = leaseUntil;
    } catch (error) {
      observer.broke("shard was not saved", host.id, error);
    }
  }
}

const DISMISSALS = {
  revoked: [CloseCode.SESSION_ENDED, "the session has ended"],
  changed: [CloseCode.TRY_AGAIN_LATER, "the session has changed"],
  unknown: [CloseCode.TRY_AGAIN_LATER, "the session can't be looked up now"],
} as const;
const SHARD_OVER = [CloseCode.SHARD_ENDED, "the shard is over"] as const;
const ELSEWHERE = [CloseCode.TRY_AGAIN_LATER, "another replica runs this shard"] as const;

/** How the admin sees a running shard. */
export function infoOf(host: ShardHost): ShardInfo {
  return {
    id: host.id,
    running: host.isRunning,
    tick: host.tick,
    subscribers: host.players,
    input_queue: host.queued,
  };
}

/**
 * Who a client plays as: the server knows it from the token.
 *
 * @throws PylonError AUTH_REQUIRED, FORBIDDEN
 */
function playerOf({ caller }: Identity, subscriberId: string): ShardPlayer {
  const { userId, isAdmin, isGuest, tenantId, roles } = caller;
  if (isAdmin && subscriberId !== "") return { id: subscriberId, isGuest, tenantId, roles };
  if (userId === null)
    throw new PylonError("AUTH_REQUIRED", "Nobody is signed in.", {
      hint: "Sign in, a guest will do, and send the token.",
    });
  if (subscriberId !== userId)
    throw new PylonError("FORBIDDEN", "The subscriber is not the user of this token.", {
      field: "sid",
      hint: "Give the id of the signed-in user.",
    });
  return { id: userId, isGuest, tenantId, roles };
}

function simulationOf(
  id: string,
  definition: ShardDefinition,
  text: string | null,
  { random }: Platform,
): Simulation {
  if (text !== null) {
    const saved: SavedSimulation = JSON.parse(text);
    if (saved.version === versionOf(definition)) return Simulation.restore(id, definition, saved);
  }
  const seed = new Int32Array(1);
  random(new Uint8Array(seed.buffer));
  return Simulation.begin(id, definition, seed[0] ?? 0);
}

function notFound(id: string): PylonError {
  return new PylonError("SHARD_NOT_FOUND", `There is no shard "${id.slice(0, 80)}".`, {
    hint: "A shard is a file in shards/; with instances it is named NAME:KEY.",
  });
}
