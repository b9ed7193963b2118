import {
  CloseCode,
  MAX_SHARD_STATE_BYTES,
  MAX_SHARDS,
  MAX_SHARDS_OF_USER,
  PylonError,
  type ShardRole,
} from "@pylonsync/protocol";
import type { ShardDefinition, ShardPlayer } from "@pylonsync/functions";
import type { Identity, SessionStatus } from "../identity/identity.ts";
import { checkKeyScope } from "../identity/key-scope.ts";
import type { Platform, Timer } from "../platform.ts";
import { withTimeout } from "../util/time-limit.ts";
import { ShardConnection, type ShardOutlet } from "./shard-connection.ts";
import type { JoinTokens } from "./join-tokens.ts";
import { IsolatedShard } from "./isolated-shard.ts";
import { ShardCalls, type ShardCallServices } from "./shard-calls.ts";
import { RestartBackoff } from "./restart-backoff.ts";
import type { RunningShard, SentWith, StateOnStop, ShardObserver } from "./running-shard.ts";
import { nameOf, ShardHost } from "./shard-host.ts";
import { ShardElsewhereError } from "./shard-elsewhere-error.ts";
import { ReplicaLease } from "./replica-lease.ts";
import type { ShardReplays } from "./shard-replays.ts";
import type { ShardOwner, ShardStorage } from "./shard-storage.ts";
import { beginOrRestore } from "@pylonsync/functions/simulation";
import type { ShardSource, ShardThread } from "./thread-messages.ts";

/** `NAME`, or `NAME:KEY`. */
const SHARD_ID = /^[\w-]{1,64}(?::[\w.-]{1,64})?$/;
const CHECK_MS = 1_000;
const DEFAULT_SAVE_SECONDS = 10;
/** How long an isolated shard may take to return its state for saving, in milliseconds. */
const SAVE_TIMEOUT_MS = 3_000;

/** The loaded shard definitions of an app, by name. */
export type ShardDefinitions = ReadonlyMap<string, ShardDefinition>;

/** The services that isolated shards use. */
export interface ShardThreads {
  /** Returns the location of a shard's code; undefined if it was not loaded from a folder. */
  readonly sourceOf: (name: string) => ShardSource | undefined;
  readonly start: () => ShardThread;
  /** The number of shards that are isolated by default, without `isolate` in their definition. */
  readonly spare: number;
}

/** The services that shards use. */
export interface ShardServices {
  readonly definitions: () => ShardDefinitions;
  readonly threads: ShardThreads;
  readonly storage: ShardStorage;
  readonly tokens: JoinTokens;
  readonly replays: ShardReplays;
  readonly platform: Platform;
  readonly sessionStatus: (identity: Identity) => Promise<SessionStatus>;
  /** Makes the calls that steps request. */
  readonly perform: ShardCallServices["perform"];
  readonly observer: Omit<ShardObserver, "ended" | "threadEnded" | "replay" | "call"> & {
    /** A call of a shard ended. @param error undefined: it succeeded */
    called(name: string, id: string, call: string, error: unknown): void;
    /** The thread of an isolated shard was ended. */
    threadEnded(name: string, id: string, why: "stuck" | "crashed", error: unknown): void;
    /** An operation outside of the app's code failed. */
    broke(message: string, id: string, error: unknown): void;
  };
}

/** A request to join a shard. */
export interface ShardJoin {
  readonly shardId: string;
  /** The id that the client sent: its user's id; only the admin may choose another one. */
  readonly subscriberId: string;
  readonly identity: Identity;
  readonly role: ShardRole;
  /** Whether the client has a join token, which shards with `inviteOnly` require. */
  readonly isInvited: boolean;
  /** Whether another replica relays the client to this one. */
  readonly isRelayed?: boolean;
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

interface Running {
  readonly host: RunningShard;
  savedAt: number;
  isKeeping: boolean;
}

/**
 * The shards that this server runs. A shard starts when the first client joins it, from its saved
 * state, and stops when it is idle or finished.
 */
export class Shards {
  readonly #services: ShardServices;
  readonly #running = new Map<string, Running>();
  readonly #starting = new Map<string, Promise<Running>>();
  readonly #stopping = new Map<string, Promise<void>>();
  readonly #hostOf = new Map<ShardConnection, RunningShard>();
  /** Joins in progress. They count toward the limit of shards per user. */
  readonly #joining = new Set<Pick<ShardJoin, "shardId"> & { readonly playerId: string }>();
  readonly #restarts = new RestartBackoff();
  readonly #calls: ShardCalls;
  readonly #lease: ReplicaLease;
  #timer: Timer | null = null;
  /** The number of isolated shards. */
  #threads = 0;
  #isClosing = false;

  constructor(services: ShardServices) {
    this.#services = services;
    this.#calls = new ShardCalls({
      perform: services.perform,
      ended: (id, call, error) => services.observer.called(nameOf(id), id, call, error),
    });
    this.#lease = new ReplicaLease(services.storage, services.platform, {
      shards: () => this.#ids(),
      lost: (id) => this.#onLeaseLost(id),
      failed: (error) => services.observer.broke("shards could not renew their lease", "", error),
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
    return name === this.#services.storage.replica && !this.#isClosing;
  }

  /** Receives the result of probing another replica at its address. */
  probed(replica: string, result: "alive" | "gone" | "unknown"): void {
    this.#lease.probed(replica, result);
  }

  /** Returns the replicas with a valid lease, and the time since each renewal in milliseconds. */
  replicaSilences(): Promise<ReadonlyMap<string, number>> {
    return this.#lease.silences();
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
    this.#lease.start();
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
    const { host } = await this.#open(join);
    try {
      await host.join(connection);
    } catch (error) {
      // A shard that was started for a rejected client is not kept.
      if (host.isEmpty && host.tick === 0) void this.#stop(host, ENDED, "leave as saved");
      throw error;
    }
    this.#hostOf.set(connection, host);
    // Session changes are reported to it only from here on, and may have occurred while it joined.
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
    const running = this.#running.get(id);
    if (running === undefined) throw notFound(id);
    return running.host;
  }

  /** Returns the shards that run on this replica, with their players. */
  running(): { readonly id: string; readonly players: number; has(userId: string): boolean }[] {
    return [...this.#running.values()].map(({ host }) => ({
      id: host.id,
      players: host.players,
      has: (userId) => host.connectionOf(userId) !== undefined,
    }));
  }

  /** Returns the ids of running shards. Stopped ones may be taken over by other replicas. */
  #ids(): string[] {
    return [...this.#running.values()]
      .filter(({ host }) => host.isRunning)
      .map(({ host }) => host.id);
  }

  list(): ShardInfo[] {
    return [...this.#running.values()].map(({ host }) => infoOf(host));
  }

  /** Stops a running shard, for the admin. @throws PylonError SHARD_NOT_FOUND */
  async stop(id: string): Promise<void> {
    await this.#stop(this.get(id), [CloseCode.SHARD_ENDED, "the shard was stopped"], "keep");
  }

  /**
   * Stops a shard if it is running, and deletes its saved state.
   *
   * @returns whether the shard existed
   */
  async forget(id: string): Promise<boolean> {
    const running = this.#running.get(id);
    if (running === undefined) {
      const isForgotten = await this.#services.storage.forget(id);
      if (isForgotten) await this.replays.openRun(id);
      return isForgotten;
    }
    await this.#stop(running.host, ENDED, "discard");
    return true;
  }

  /** Called after a reload of the app: shards continue with the new code; removed ones stop. */
  replace(): void {
    const definitions = this.#services.definitions();
    for (const { host } of this.#running.values()) {
      const definition = definitions.get(host.name);
      if (definition === undefined) void this.#stop(host, ENDED, "keep");
      else host.replace(definition);
    }
  }

  /** Closes connections whose session was revoked or changed; clients of changed ones reconnect. */
  dismiss(matches: (identity: Identity) => boolean, status: "revoked" | "changed"): void {
    for (const connection of [...this.#hostOf.keys()])
      if (matches(connection.identity)) this.#dismiss(connection, status);
  }

  /** Returns the number of running shards, of their players and of their connections. */
  stats(): { readonly running: number; readonly players: number; readonly connections: number } {
    const hosts = [...this.#running.values()];
    return {
      running: hosts.length,
      players: hosts.reduce((sum, { host }) => sum + host.players, 0),
      connections: this.#hostOf.size,
    };
  }

  /** Called before the server stops: on a shared store, shards move to other replicas now. */
  async beginDrain(): Promise<void> {
    if (this.#services.storage.isShared) await this.close();
  }

  /** Stops all shards when the server stops: they are saved, and their clients are disconnected. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#timer?.cancel();
    await Promise.allSettled(this.#starting.values());
    for (const { host } of [...this.#running.values()])
      void this.#stop(host, [CloseCode.GOING_AWAY, "the server is stopping"], "keep");
    await Promise.all(this.#stopping.values());
    await this.replays.settled();
    await this.#lease.stop();
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

  async #open({ shardId: id, role, isRelayed = false }: ShardJoin): Promise<Running> {
    await this.#stopping.get(id);
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    const definition = this.definitionOf(id);
    if (isRelayed && !this.#starting.has(id)) throw new PylonError("SHARD_ELSEWHERE", NOT_HERE);
    if (this.#isClosing) throw await this.#closingError(id);
    const { storage } = this.#services;
    this.#restarts.check(id, this.platform.monotonic());
    const starting = this.#starting.get(id);
    if (starting !== undefined) return starting;
    if (role === "spectator" && (await storage.ownerOf(id)) === null)
      throw new PylonError("SUBSCRIBE_FAILED", "The shard has no players at the moment.");
    if (this.#running.size + this.#starting.size >= MAX_SHARDS)
      throw new PylonError("SUBSCRIBE_FAILED", `A server may run at most ${MAX_SHARDS} shards.`);
    const started = this.#start(id, definition).finally(() => this.#starting.delete(id));
    this.#starting.set(id, started);
    return started;
  }

  async #closingError(id: string): Promise<PylonError> {
    const owner = await this.#services.storage.ownerOf(id);
    if (owner !== null) return new ShardElsewhereError(owner);
    return new PylonError("NOT_READY", "The server is stopping.");
  }

  /** Returns the definition of a shard, running or not. @throws PylonError SHARD_NOT_FOUND */
  definitionOf(id: string): ShardDefinition {
    const definition = this.#services.definitions().get(nameOf(id));
    const isInstance = id.includes(":");
    if (!SHARD_ID.test(id) || definition === undefined) throw notFound(id);
    if (isInstance && definition.instances !== true) throw notFound(id);
    return definition;
  }

  async #start(id: string, definition: ShardDefinition): Promise<Running> {
    const { storage, platform, observer } = this.#services;
    const opened = await this.#lease.open(id);
    if ("owner" in opened) throw new ShardElsewhereError(opened.owner);
    try {
      const host = await this.#run(id, definition, opened.state);
      const running = { host, savedAt: platform.monotonic(), isKeeping: false };
      this.#running.set(id, running);
      return running;
    } catch (error) {
      observer.failed(id, "init", error);
      await storage.release(id, null, 0);
      throw new PylonError("HANDLER_ERROR", "The shard can't start: see the server's log.");
    }
  }

  /** Runs a shard on its own thread if it is isolated, or by default while a core is free. */
  async #run(id: string, definition: ShardDefinition, saved: string | null): Promise<RunningShard> {
    const { platform, threads } = this.#services;
    const source = threads.sourceOf(nameOf(id));
    const observer = this.#observer();
    const isIsolated = definition.isolate ?? this.#threads < threads.spare;
    if (!isIsolated || source === undefined)
      return new ShardHost(id, beginOrRestore(id, definition, saved, platform), platform, observer);
    this.#threads += 1;
    try {
      const thread = threads.start();
      return await IsolatedShard.start({
        id,
        definition,
        source,
        saved,
        thread,
        platform,
        observer,
      });
    } catch (error) {
      this.#threads -= 1;
      throw error;
    }
  }

  #observer(): ShardObserver {
    const { observer } = this.#services;
    return {
      ...observer,
      call: (shard, call) => this.#calls.request(shard, call),
      replay: (id, piece) => this.#services.replays.take(id, piece),
      threadEnded: (id, why, error) => observer.threadEnded(nameOf(id), id, why, error),
      ended: (ended, fate) => {
        if (fate === "restart") this.#restarts.lost(ended.id, this.platform.monotonic());
        void this.#stop(ended, fate === "restart" ? RESTART : ENDED, fate);
      },
    };
  }

  /** Removes a shard from the running ones immediately; its state is written asynchronously. */
  #stop(
    host: RunningShard,
    [code, reason]: readonly [CloseCode, string],
    fate: StateOnStop,
  ): Promise<void> {
    if (!host.isRunning) return this.#stopping.get(host.id) ?? Promise.resolve();
    for (const connection of host.connections()) this.#hostOf.delete(connection);
    host.stop(code, reason);
    this.#calls.drop(host);
    this.#running.delete(host.id);
    const { observer, replays } = this.#services;
    let isRunOver = false;
    const stopping = this.#settle(host, fate)
      .then(() => {
        isRunOver = fate === "discard";
      })
      .catch((error: unknown) => observer.broke("shard was not saved", host.id, error))
      .finally(() => {
        host.dispose();
        replays.finish(host.id, isRunOver);
        if (host instanceof IsolatedShard) this.#threads -= 1;
        this.#stopping.delete(host.id);
      });
    this.#stopping.set(host.id, stopping);
    return stopping;
  }

  async #settle(host: RunningShard, fate: StateOnStop): Promise<void> {
    const { storage } = this.#services;
    if (fate === "discard") await storage.forget(host.id);
    else {
      const text = fate === "keep" ? await this.#savedText(host) : null;
      await storage.release(host.id, text, host.tick);
    }
  }

  /** @returns null, after a report, if the state can't be saved; one that is too large ends it */
  async #savedText(host: RunningShard): Promise<string | null> {
    try {
      const text = await this.#inTime(host.save());
      if (Buffer.byteLength(text) <= MAX_SHARD_STATE_BYTES) return text;
      void this.#stop(host, ENDED, "leave as saved");
      throw new RangeError(`The state has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
    } catch (error) {
      this.#services.observer.failed(host.id, "save", error);
      return null;
    }
  }

  /** Limits the time, so that a stuck thread does not delay the shutdown of the server. */
  #inTime(saving: Promise<string>): Promise<string> {
    const isLate = (): Error => new Error("The state was not saved in time.");
    return withTimeout(this.platform, () => saving, SAVE_TIMEOUT_MS, isLate);
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
      if (running.host.isRunning) this.#saveIfDue(running);
    }
  }

  /** Stops a shard without saving it, because another replica may run it. */
  #onLeaseLost(id: string): void {
    const running = this.#running.get(id);
    if (running !== undefined) void this.#stop(running.host, RUNS_ELSEWHERE, "leave as saved");
  }

  /** Saves a shard if a save is due. */
  #saveIfDue(running: Running): void {
    const { host } = running;
    const now = this.#services.platform.monotonic();
    const { saveSeconds = DEFAULT_SAVE_SECONDS } = host.definition;
    const isSaveDue = saveSeconds > 0 && now - running.savedAt >= saveSeconds * 1000;
    if (running.isKeeping || !isSaveDue) return;
    running.isKeeping = true;
    void this.#keep(running).finally(() => {
      running.isKeeping = false;
    });
  }

  async #keep(running: Running): Promise<void> {
    const { host } = running;
    const { storage, platform, observer } = this.#services;
    running.savedAt = platform.monotonic();
    const text = await this.#savedText(host);
    if (text === null || !host.isRunning) return;
    try {
      if (!(await storage.keep(host.id, text, host.tick))) this.#onLeaseLost(host.id);
    } catch (error) {
      observer.broke("shard was not saved", host.id, error);
    }
  }
}

const DISMISSALS = {
  revoked: [CloseCode.SESSION_ENDED, "the session has ended"],
  changed: [CloseCode.TRY_AGAIN_LATER, "the session has changed"],
  unknown: [CloseCode.TRY_AGAIN_LATER, "the session can't be checked at the moment"],
} as const;
const ENDED = [CloseCode.SHARD_ENDED, "the shard has ended"] as const;
const RESTART = [CloseCode.TRY_AGAIN_LATER, "the shard is restarting"] as const;
const RUNS_ELSEWHERE = [CloseCode.TRY_AGAIN_LATER, "another replica runs this shard"] as const;

/** The close reason for a relayed client whose shard does not run on this replica. */
export const NOT_HERE = "the shard is not here";

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

function notFound(id: string): PylonError {
  return new PylonError("SHARD_NOT_FOUND", `The shard "${id.slice(0, 80)}" does not exist.`, {
    hint: "Shards are files in shards/; a shard with instances is addressed as NAME:KEY.",
  });
}
