import {
  CloseCode,
  MAX_SHARD_STATE_BYTES,
  MAX_SHARDS,
  PylonError,
  type ShardRole,
} from "@pylonsync/protocol";
import type { ShardDefinition } from "@pylonsync/functions";
import { beginOrRestore } from "@pylonsync/functions/simulation";
import { withTimeout } from "../util/time-limit.ts";
import { IsolatedShard } from "./isolated-shard.ts";
import { ReplicaLease } from "./replica-lease.ts";
import { RestartBackoff } from "./restart-backoff.ts";
import type { RunningShard, ShardObserver, StateOnStop } from "./running-shard.ts";
import { ShardCalls } from "./shard-calls.ts";
import { ShardElsewhereError } from "./shard-elsewhere-error.ts";
import { nameOf, ShardHost } from "./shard-host.ts";
import type { ShardServices } from "./shard-services.ts";

/** `NAME`, or `NAME:KEY`. */
const SHARD_ID = /^[\w-]{1,64}(?::[\w.-]{1,64})?$/;
const DEFAULT_SAVE_SECONDS = 10;
/** How long an isolated shard may take to return its state for saving, in milliseconds. */
const SAVE_TIMEOUT_MS = 3_000;

/** The close reason for a relayed client whose shard does not run on this replica. */
export const NOT_HERE = "the shard is not here";

/** The close code and the reason that clients of a stopped shard receive. */
export type Closing = readonly [CloseCode, string];

/** The closing of a shard that has ended. */
export const ENDED: Closing = [CloseCode.SHARD_ENDED, "the shard has ended"];
const RESTART: Closing = [CloseCode.TRY_AGAIN_LATER, "the shard is restarting"];
const RUNS_ELSEWHERE: Closing = [CloseCode.TRY_AGAIN_LATER, "another replica runs this shard"];

interface Running {
  readonly host: RunningShard;
  savedAt: number;
  isKeeping: boolean;
}

/** A client's request for a shard, which starts it if it is not running. */
export interface ShardRequest {
  readonly shardId: string;
  readonly role: ShardRole;
  /** Whether another replica relays the client to this one. */
  readonly isRelayed?: boolean;
}

/**
 * The shards that run on this replica: each is started from its saved state, saved periodically,
 * and stopped. At most one replica runs a shard, which the lease ensures.
 */
export class ShardRuns {
  /** The lease of this replica for all of its shards. */
  readonly lease: ReplicaLease;
  readonly #services: ShardServices;
  readonly #onStop: (host: RunningShard) => void;
  readonly #running = new Map<string, Running>();
  readonly #starting = new Map<string, Promise<RunningShard>>();
  readonly #stopping = new Map<string, Promise<void>>();
  readonly #restarts = new RestartBackoff();
  readonly #calls: ShardCalls;
  /** The number of isolated shards. */
  #threads = 0;
  #isClosing = false;

  /** @param onStop called before a shard is stopped, with its connections */
  constructor(services: ShardServices, onStop: (host: RunningShard) => void) {
    this.#services = services;
    this.#onStop = onStop;
    this.#calls = new ShardCalls({
      perform: services.perform,
      ended: (id, call, error) => services.observer.called(nameOf(id), id, call, error),
    });
    this.lease = new ReplicaLease(services.storage, services.platform, {
      // Stopped ones may be taken over by other replicas.
      shards: () =>
        this.all()
          .filter(({ isRunning }) => isRunning)
          .map(({ id }) => id),
      lost: (id) => this.#onLeaseLost(id),
      failed: (error) => services.observer.broke("shards could not renew their lease", "", error),
    });
  }

  /** Whether this replica is shutting down. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Returns all running shards. */
  all(): RunningShard[] {
    return [...this.#running.values()].map(({ host }) => host);
  }

  /** Returns a running shard; undefined if it does not run here. */
  find(id: string): RunningShard | undefined {
    return this.#running.get(id)?.host;
  }

  /** Returns a running shard. @throws PylonError SHARD_NOT_FOUND */
  get(id: string): RunningShard {
    const host = this.find(id);
    if (host === undefined) throw notFound(id);
    return host;
  }

  /** Returns the definition of a shard, running or not. @throws PylonError SHARD_NOT_FOUND */
  definitionOf(id: string): ShardDefinition {
    const definition = this.#services.definitions().get(nameOf(id));
    const isInstance = id.includes(":");
    if (!SHARD_ID.test(id) || definition === undefined) throw notFound(id);
    if (isInstance && definition.instances !== true) throw notFound(id);
    return definition;
  }

  /**
   * Returns a shard, and starts it if it is not running.
   *
   * @throws ShardElsewhereError
   * @throws PylonError SHARD_NOT_FOUND, SHARD_ELSEWHERE, NOT_READY, SUBSCRIBE_FAILED, HANDLER_ERROR
   */
  async open({ shardId: id, role, isRelayed = false }: ShardRequest): Promise<RunningShard> {
    await this.#stopping.get(id);
    const running = this.find(id);
    if (running !== undefined) return running;
    const definition = this.definitionOf(id);
    if (isRelayed && !this.#starting.has(id)) throw new PylonError("SHARD_ELSEWHERE", NOT_HERE);
    if (this.#isClosing) throw await this.#closingError(id);
    const { storage, platform } = this.#services;
    this.#restarts.check(id, platform.monotonic());
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

  /** Removes a shard from the running ones immediately; its state is written asynchronously. */
  stop(
    host: RunningShard,
    [code, reason]: readonly [CloseCode, string],
    fate: StateOnStop,
  ): Promise<void> {
    if (!host.isRunning) return this.#stopping.get(host.id) ?? Promise.resolve();
    this.#onStop(host);
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

  /** Called after a reload of the app: shards continue with the new code; removed ones stop. */
  replaceCode(): void {
    const definitions = this.#services.definitions();
    for (const host of this.all()) {
      const definition = definitions.get(host.name);
      if (definition === undefined) void this.stop(host, ENDED, "keep");
      else host.replace(definition);
    }
  }

  /** Performs the periodic work of all shards: their own checks, and saves that are due. */
  check(): void {
    for (const running of [...this.#running.values()]) {
      running.host.check();
      if (running.host.isRunning) this.#saveIfDue(running);
    }
  }

  /** Saves and stops all shards. Further ones are not started. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.allSettled(this.#starting.values());
    for (const host of this.all())
      void this.stop(host, [CloseCode.GOING_AWAY, "the server is stopping"], "keep");
    await Promise.all(this.#stopping.values());
    await this.#services.replays.settled();
    await this.lease.stop();
  }

  async #closingError(id: string): Promise<PylonError> {
    const owner = await this.#services.storage.ownerOf(id);
    if (owner !== null) return new ShardElsewhereError(owner);
    return new PylonError("NOT_READY", "The server is stopping.");
  }

  async #start(id: string, definition: ShardDefinition): Promise<RunningShard> {
    const { storage, platform, observer } = this.#services;
    const opened = await this.lease.open(id);
    if ("owner" in opened) throw new ShardElsewhereError(opened.owner);
    try {
      const host = await this.#run(id, definition, opened.state);
      this.#running.set(id, { host, savedAt: platform.monotonic(), isKeeping: false });
      return host;
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
        if (fate === "restart") this.#restarts.lost(ended.id, this.#services.platform.monotonic());
        void this.stop(ended, fate === "restart" ? RESTART : ENDED, fate);
      },
    };
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
      void this.stop(host, ENDED, "leave as saved");
      throw new RangeError(`The state has more than ${MAX_SHARD_STATE_BYTES} bytes.`);
    } catch (error) {
      this.#services.observer.failed(host.id, "save", error);
      return null;
    }
  }

  /** Limits the time, so that a stuck thread does not delay the shutdown of the server. */
  #inTime(saving: Promise<string>): Promise<string> {
    const isLate = (): Error => new Error("The state was not saved in time.");
    return withTimeout(this.#services.platform, () => saving, SAVE_TIMEOUT_MS, isLate);
  }

  /** Stops a shard without saving it, because another replica may run it. */
  #onLeaseLost(id: string): void {
    const running = this.#running.get(id);
    if (running !== undefined) void this.stop(running.host, RUNS_ELSEWHERE, "leave as saved");
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

function notFound(id: string): PylonError {
  return new PylonError("SHARD_NOT_FOUND", `The shard "${id.slice(0, 80)}" does not exist.`, {
    hint: "Shards are files in shards/; a shard with instances is addressed as NAME:KEY.",
  });
}
