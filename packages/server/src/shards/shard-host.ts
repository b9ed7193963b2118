import {
  CloseCode,
  MAX_SHARD_CONNECTIONS_OF_USER,
  MAX_SHARD_FAILURES,
  MAX_SHARD_QUEUE,
  PylonError,
} from "@pylonsync/protocol";
import { parseValue, type ShardDefinition, type ShardPlayer } from "@pylonsync/functions";
import type { Platform, Timer } from "../platform.ts";
import type { ShardConnection } from "./shard-connection.ts";
import {
  tickRateOf,
  type RecordedStep,
  type ScheduledByShard,
  type ShardEvent,
  type Simulation,
  type StepResult,
} from "./simulation.ts";
import { ViewChannel } from "./view-channel.ts";

const DEFAULT_MAX_PLAYERS = 64;
const DEFAULT_INPUT_RATE = 60;
const DEFAULT_IDLE_SECONDS = 90;
const DEFAULT_GRACE_SECONDS = 5;
/** Players of a shard that was restored have at least so long to come back, in seconds. */
const RESTORED_GRACE_SECONDS = 10;
/** Without a tick rate: the least time between two steps, in milliseconds. */
const EVENT_STEP_MS = 10;
/** Without a tick rate: a step that takes longer is one too long, in milliseconds. */
const EVENT_BUDGET_MS = 50;
/** Steps that overrun one after another, before a shard is slowed down. */
const THROTTLED_AFTER = 3;
/** The longest that a shard is held back after a step that took too long, in milliseconds. */
const MAX_PAUSE_MS = 1_000;
/** At most one line in the log for each kind of problem of a shard in so long, in milliseconds. */
const LOG_EVERY_MS = 10_000;

/** What a shard is told to do with its state when it stops. */
export type ShardFate = "keep" | "discard" | "leave as saved";

/** Told what a shard does, for logs, metrics and its storage. */
export interface ShardObserver {
  /** Runs a step of a shard by name, which the watchdog then knows of. */
  during<T>(name: string, work: () => T): T;
  /** @param sent characters of JSON */
  stepped(name: string, durationMs: number, sent: number): void;
  /** A step took longer than there is time between two. */
  overran(name: string): void;
  /** Steps overrun one after another, and the shard is slowed down. */
  throttled(id: string, durationMs: number): void;
  /** A problem of the app's code. */
  failed(id: string, where: string, error: unknown): void;
  input(name: string, outcome: "taken" | "refused"): void;
  leftOut(name: string): void;
  schedule(id: string, call: ScheduledByShard): void;
  /** For the recording of runs. */
  recorded?(id: string, step: RecordedStep): void;
  /** The shard is to be stopped: it stopped by itself. */
  ended(host: ShardHost, fate: ShardFate): void;
}

interface QueuedEvent {
  readonly event: ShardEvent;
  readonly connection: ShardConnection | null;
  readonly clientSeq: number | null;
}

/** One shard with its clients: its tick, its queue of inputs, and what each client is sent. */
export class ShardHost {
  readonly id: string;
  /** The file in `shards/` that it is defined by. */
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #platform: Platform;
  readonly #observer: ShardObserver;
  readonly #connections = new Map<string, Set<ShardConnection>>();
  /** Players without a connection, and until when they stay, in monotonic milliseconds. */
  readonly #absent = new Map<string, number>();
  readonly #kicked = new Set<string>();
  readonly #shared = new ViewChannel();
  readonly #own = new Map<string, ViewChannel>();
  readonly #loggedAt = new Map<string, number>();
  #queue: QueuedEvent[] = [];
  #seq = 0;
  #timer: Timer | null = null;
  #dueAt: number;
  #idleSince: number;
  #failures = 0;
  #overruns = 0;
  #isRunning = true;

  constructor(id: string, simulation: Simulation, platform: Platform, observer: ShardObserver) {
    this.id = id;
    this.name = nameOf(id);
    this.#simulation = simulation;
    this.#platform = platform;
    this.#observer = observer;
    const now = platform.monotonic();
    this.#dueAt = now;
    this.#idleSince = now;
    const graceMs = Math.max(this.#graceMs, RESTORED_GRACE_SECONDS * 1000);
    for (const playerId of simulation.players.keys()) this.#absent.set(playerId, now + graceMs);
    if (tickRateOf(simulation.definition) > 0) this.#schedule(0);
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get tick(): number {
    return this.#simulation.tick;
  }

  get players(): number {
    return this.#connections.size + this.#absent.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  get definition(): ShardDefinition {
    return this.#simulation.definition;
  }

  /** All connections. */
  *connections(): Generator<ShardConnection> {
    for (const connections of this.#connections.values()) yield* connections;
  }

  connectionOf(playerId: string): ShardConnection | undefined {
    const [first] = this.#connections.get(playerId) ?? [];
    return first;
  }

  /** Goes on with other code for the same state. */
  replace(definition: ShardDefinition): void {
    this.#simulation.replace(definition);
    this.#schedule(0);
  }

  /** All that it goes on from, as JSON. @throws TypeError naming what can't be saved */
  save(): string {
    return this.#simulation.save();
  }

  /**
   * Takes a player's connection in.
   *
   * @throws PylonError FORBIDDEN, SUBSCRIBE_FAILED
   */
  join(connection: ShardConnection): void {
    const { player } = connection;
    const connections = this.#connections.get(player.id);
    this.#checkJoin(player, connections?.size ?? 0);
    if (connections === undefined) this.#connections.set(player.id, new Set([connection]));
    else connections.add(connection);
    const isKnown = this.#absent.delete(player.id) || connections !== undefined;
    if (!isKnown) this.#enqueue({ kind: "join", player });
    this.#idleSince = this.#platform.monotonic();
    // It sees the shard at once, as it is before this step.
    if (this.#show()) this.#deliverTo(connection, this.#platform.monotonic());
  }

  /** A connection is gone, or is to be told no more. */
  leave(connection: ShardConnection): void {
    connection.closed();
    const { id } = connection.player;
    const connections = this.#connections.get(id);
    if (connections?.delete(connection) !== true || connections.size > 0) return;
    this.#connections.delete(id);
    this.#own.delete(id);
    this.#idleSince = this.#platform.monotonic();
    if (this.#graceMs === 0 || this.#kicked.has(id)) this.#enqueue({ kind: "leave", playerId: id });
    else this.#absent.set(id, this.#idleSince + this.#graceMs);
  }

  /**
   * Takes an input of a connected player.
   *
   * @returns its number in this shard
   * @throws PylonError INVALID_ARGS, INPUT_REJECTED, RATE_LIMITED
   */
  input(connection: ShardConnection, input: unknown, clientSeq: number | null): number {
    const { inputRate = DEFAULT_INPUT_RATE, input: validator } = this.definition;
    if (!this.#isRunning || !connection.isOpen)
      throw new PylonError("INPUT_REJECTED", "shard is stopped");
    const excess = connection.takeInput(this.#platform.monotonic(), inputRate);
    if (excess !== null) throw new PylonError("RATE_LIMITED", excess);
    parseValue(validator, input, "input");
    if (this.#queue.length >= MAX_SHARD_QUEUE)
      throw new PylonError("INPUT_REJECTED", "shard input queue is full");
    this.#enqueue({ kind: "input", playerId: connection.player.id, input }, connection, clientSeq);
    return (this.#seq += 1);
  }

  /** Sends a player away, for as long as the shard runs. @returns whether they were there */
  kick(playerId: string, reason: string): boolean {
    const connections = this.#connections.get(playerId);
    const wasHere = connections !== undefined || this.#absent.delete(playerId);
    this.#kicked.add(playerId);
    if (connections === undefined) {
      if (wasHere) this.#enqueue({ kind: "leave", playerId });
      return wasHere;
    }
    for (const connection of connections) {
      connection.close(CloseCode.KICKED, `kicked: ${reason}`.slice(0, MAX_REASON));
      this.leave(connection);
    }
    return true;
  }

  /** What comes due without a step: players who did not come back, and the end of an idle shard. */
  check(): void {
    if (!this.#isRunning) return;
    const now = this.#platform.monotonic();
    for (const [playerId, until] of this.#absent)
      if (until <= now) {
        this.#absent.delete(playerId);
        this.#enqueue({ kind: "leave", playerId });
      }
    const { idleSeconds = DEFAULT_IDLE_SECONDS } = this.definition;
    const isIdle = this.players === 0 && this.#queue.length === 0;
    if (isIdle && now - this.#idleSince >= idleSeconds * 1000) this.#end("keep");
  }

  /** Stops it: no step follows, and all clients are told. */
  stop(code: CloseCode, reason: string): void {
    this.#isRunning = false;
    this.#timer?.cancel();
    for (const connection of this.connections()) connection.close(code, reason);
    this.#connections.clear();
    this.#queue = [];
  }

  get #graceMs(): number {
    return (this.definition.graceSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
  }

  #checkJoin(player: ShardPlayer, connections: number): void {
    const { maxPlayers = DEFAULT_MAX_PLAYERS, mayJoin } = this.definition;
    if (!this.#isRunning) throw new PylonError("SUBSCRIBE_FAILED", "shard is stopped");
    if (this.#kicked.has(player.id))
      throw new PylonError("FORBIDDEN", "You were sent away from this shard.");
    if (connections >= MAX_SHARD_CONNECTIONS_OF_USER)
      throw new PylonError(
        "SUBSCRIBE_FAILED",
        `A user has at most ${MAX_SHARD_CONNECTIONS_OF_USER} connections to a shard.`,
      );
    const isNew = connections === 0 && !this.#absent.has(player.id);
    if (isNew && this.players >= maxPlayers)
      throw new PylonError("SUBSCRIBE_FAILED", "shard is at max subscribers");
    if (mayJoin !== undefined && !this.#allows(mayJoin, player))
      throw new PylonError("FORBIDDEN", "The shard does not let you join.");
  }

  /** What throws allows nothing. */
  #allows(mayJoin: NonNullable<ShardDefinition["mayJoin"]>, player: ShardPlayer): boolean {
    try {
      return mayJoin(player, this.#simulation.state) === true;
    } catch (error) {
      this.#report("mayJoin", error);
      return false;
    }
  }

  #enqueue(
    event: ShardEvent,
    connection: ShardConnection | null = null,
    clientSeq: number | null = null,
  ): void {
    this.#queue.push({ event, connection, clientSeq });
    if (tickRateOf(this.definition) === 0) this.#schedule(0);
  }

  /** @param minMs the least time until the next step, in milliseconds */
  #schedule(minMs: number): void {
    if (!this.#isRunning) return;
    const rate = tickRateOf(this.definition);
    const now = this.#platform.monotonic();
    if (rate === 0) {
      if (this.#queue.length === 0) return;
      this.#timer ??= this.#platform.after(Math.max(minMs, EVENT_STEP_MS), () => this.#run());
      return;
    }
    const intervalMs = 1000 / rate;
    // Late by more than a step: the steps that were missed are not caught up with.
    this.#dueAt = now > this.#dueAt + intervalMs ? now : this.#dueAt;
    this.#dueAt = Math.max(this.#dueAt + intervalMs, now + minMs);
    this.#timer?.cancel();
    this.#timer = this.#platform.after(Math.max(0, this.#dueAt - now), () => this.#run());
  }

  #run(): void {
    this.#timer = null;
    if (!this.#isRunning) return;
    const started = this.#platform.monotonic();
    const sent = this.#observer.during(`shard ${this.name}`, () => this.#stepOr(0, started));
    const durationMs = this.#platform.monotonic() - started;
    this.#observer.stepped(this.name, durationMs, sent);
    const rate = tickRateOf(this.definition);
    const isOverrun = durationMs > (rate === 0 ? EVENT_BUDGET_MS : 1000 / rate);
    this.#overruns = isOverrun ? this.#overruns + 1 : 0;
    if (isOverrun) this.#observer.overran(this.name);
    // One step may be late because of the machine. Of a shard that is too slow, what runs beside it
    // gets at least as much of the thread.
    const isThrottled = this.#overruns >= THROTTLED_AFTER;
    if (isThrottled) this.#overran(durationMs);
    this.#schedule(isThrottled ? Math.min(durationMs, MAX_PAUSE_MS) : 0);
  }

  #overran(durationMs: number): void {
    if (this.#isNew("overrun")) this.#observer.throttled(this.id, durationMs);
  }

  /** A fault of ours is in the log, and costs a step. */
  #stepOr(sent: number, now: number): number {
    try {
      return this.#step(now);
    } catch (error) {
      this.#report("step", error);
      return sent;
    }
  }

  /** @returns characters that were sent */
  #step(now: number): number {
    const queue = this.#queue;
    this.#queue = [];
    const events = queue.map(({ event }) => event);
    const result = this.#simulation.advance(events);
    this.#observer.recorded?.(this.id, { tick: this.tick, events });
    this.#answer(queue, result);
    for (const error of result.tickFaults) this.#report("tick", error);
    const isShown = this.#show();
    this.#failures = isShown && result.tickFaults.length === 0 ? 0 : this.#failures + 1;
    let sent = 0;
    for (const connection of [...this.connections()]) sent += this.#deliverTo(connection, now);
    for (const call of result.scheduled) this.#observer.schedule(this.id, call);
    for (const [playerId, reason] of result.kicked) this.kick(playerId, reason);
    if (result.isFinished) this.#end("discard");
    else if (this.#failures >= MAX_SHARD_FAILURES) this.#end("leave as saved");
    return sent;
  }

  #answer(queue: readonly QueuedEvent[], { refused, faults }: StepResult): void {
    for (const [index, { event, connection, clientSeq }] of queue.entries()) {
      connection?.applied(clientSeq);
      const error = faults.get(index);
      if (error !== undefined) this.#report(HANDLERS[event.kind], error);
      const refusal = refused.get(index);
      if (refusal !== undefined) connection?.refuse(clientSeq, refusal.code, refusal.message);
      else if (error !== undefined)
        connection?.refuse(clientSeq, "INTERNAL", "The shard failed to apply this input.");
    }
  }

  /** @returns whether there is a view to send */
  #show(): boolean {
    const { view } = this.definition;
    if (view === undefined || this.isEmpty) return true;
    try {
      this.#shared.show(view(this.#simulation.state));
      return true;
    } catch (error) {
      this.#report("view", error);
      return false;
    }
  }

  #deliverTo(connection: ShardConnection, now: number): number {
    try {
      const channel = this.#channelOf(connection.player);
      const sent = connection.deliver(channel, this.tick, now);
      if (sent === null) this.#observer.leftOut(this.name);
      if (!connection.isOpen) this.leave(connection);
      return sent ?? 0;
    } catch (error) {
      this.#report("view", error);
      return 0;
    }
  }

  #channelOf(player: ShardPlayer): ViewChannel {
    const { viewFor } = this.definition;
    if (viewFor === undefined) return this.#shared;
    const known = this.#own.get(player.id);
    const channel = known ?? new ViewChannel();
    if (known === undefined) this.#own.set(player.id, channel);
    channel.show(viewFor(this.#simulation.state, player));
    return channel;
  }

  #end(fate: ShardFate): void {
    if (this.#isRunning) this.#observer.ended(this, fate);
  }

  /** The same problem in each step is a line in the log now and then. */
  #report(where: string, error: unknown): void {
    if (this.#isNew(where)) this.#observer.failed(this.id, where, error);
  }

  #isNew(problem: string): boolean {
    const now = this.#platform.monotonic();
    if (now - (this.#loggedAt.get(problem) ?? -Infinity) < LOG_EVERY_MS) return false;
    this.#loggedAt.set(problem, now);
    return true;
  }
}

const HANDLERS = { join: "onJoin", leave: "onLeave", input: "onInput" } as const;
/** A close frame has room for 123 bytes of reason, which may be four bytes a character. */
const MAX_REASON = 30;

/** The file that an id of a shard belongs to. */
export function nameOf(id: string): string {
  return id.split(":", 1)[0] ?? id;
}
