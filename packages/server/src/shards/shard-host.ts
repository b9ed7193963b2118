import {
  CloseCode,
  MAX_SHARD_CONNECTIONS_OF_USER,
  MAX_SHARD_FAILURES,
  PylonError,
} from "@pylonsync/protocol";
import type { ShardDefinition, ShardPlayer } from "@pylonsync/functions";
import type { Platform, Timer } from "../platform.ts";
import { checkInput } from "./input-gate.ts";
import type { RunningShard, SentWith, StateOnStop, ShardObserver } from "./running-shard.ts";
import type { ShardConnection } from "./shard-connection.ts";
import {
  tickRateOf,
  type CallResult,
  type ShardEvent,
  type Simulation,
  type StepResult,
} from "@pylonsync/functions/simulation";
import { ShardLog } from "./shard-log.ts";
import { ShardRecording } from "./shard-recording.ts";
import { ShardViews, type ViewGroup } from "./shard-views.ts";

const DEFAULT_MAX_PLAYERS = 64;
const DEFAULT_IDLE_SECONDS = 90;
const DEFAULT_GRACE_SECONDS = 5;
/** The minimum time that players have to reconnect to a restored shard, in seconds. */
const RESTORED_GRACE_SECONDS = 10;
/** Without a tick rate: the minimum time between two steps, in milliseconds. */
const EVENT_STEP_MS = 10;
/** Without a tick rate: the duration above which a step is an overrun, in milliseconds. */
const EVENT_BUDGET_MS = 50;
/** The number of consecutive overruns after which a shard is slowed down. */
const THROTTLED_AFTER = 3;
/** The maximum pause after a step that took too long, in milliseconds. */
const MAX_PAUSE_MS = 1_000;
/** The minimum time between two log lines for the same kind of problem, in milliseconds. */
const LOG_EVERY_MS = 10_000;

/** The sender of an event that a client has sent. */
interface Sender {
  readonly connection: ShardConnection;
  readonly clientSeq: number | null;
}

/**
 * One shard with its clients on this thread: its tick, its queue of inputs, and the views sent to
 * clients.
 */
export class ShardHost implements RunningShard {
  readonly id: string;
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #platform: Platform;
  readonly #observer: ShardObserver;
  readonly #connections = new Map<string, Set<ShardConnection>>();
  /** Disconnected players, and until when they stay, in monotonic milliseconds. */
  readonly #absent = new Map<string, number>();
  readonly #spectators = new Set<ShardConnection>();
  readonly #kicked = new Set<string>();
  readonly #views: ShardViews;
  readonly #recording: ShardRecording;
  readonly #log: ShardLog;
  readonly #loggedAt = new Map<string, number>();
  /** The events that wait for the next step, and the sender of each. */
  #queue: ShardEvent[] = [];
  #senders: (Sender | null)[] = [];
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
    this.#views = new ShardViews(simulation);
    this.#recording = new ShardRecording(
      simulation,
      (piece) => observer.replay(id, piece),
      (error) => this.#report("record", error),
    );
    this.#log = new ShardLog((line) => observer.logged(id, line));
    this.#platform = platform;
    this.#observer = observer;
    const now = platform.monotonic();
    this.#dueAt = now;
    this.#idleSince = now;
    const graceMs = Math.max(this.#graceMs, RESTORED_GRACE_SECONDS * 1000);
    for (const playerId of simulation.players.keys()) this.#absent.set(playerId, now + graceMs);
    this.#recording.begin();
    for (const call of simulation.interruptedCalls)
      this.settle({ kind: "failure", call, ...INTERRUPTED });
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
    return this.#connections.size + this.#spectators.size === 0;
  }

  get definition(): ShardDefinition {
    return this.#simulation.definition;
  }

  *connections(): Generator<ShardConnection> {
    for (const connections of this.#connections.values()) yield* connections;
    yield* this.#spectators;
  }

  connectionOf(playerId: string): ShardConnection | undefined {
    const [first] = this.#connections.get(playerId) ?? [];
    return first;
  }

  replace(definition: ShardDefinition): void {
    this.#recording.end();
    this.#simulation.replace(definition);
    this.#recording.begin();
    this.#views.replace();
    this.#schedule(0);
  }

  save(): Promise<string> {
    return Promise.try(() => this.#simulation.save());
  }

  join(connection: ShardConnection): Promise<void> {
    return Promise.try(() => this.#join(connection));
  }

  #join(connection: ShardConnection): void {
    const { player, role } = connection;
    if (role === "spectator") return this.#watch(connection);
    const connections = this.#connections.get(player.id);
    this.#checkJoin(player, connections?.size ?? 0);
    if (connections === undefined) this.#connections.set(player.id, new Set([connection]));
    else connections.add(connection);
    const isKnown = this.#absent.delete(player.id) || connections !== undefined;
    if (!isKnown) this.#enqueue({ kind: "join", player });
    this.#idleSince = this.#platform.monotonic();
    this.#showTo(connection);
  }

  #watch(connection: ShardConnection): void {
    const { maxSpectators = 0 } = this.definition;
    this.#checkOpen(connection.player);
    if (maxSpectators === 0)
      throw new PylonError("FORBIDDEN", "The shard does not allow spectators.");
    if (this.#spectators.size >= maxSpectators)
      throw new PylonError("SUBSCRIBE_FAILED", "shard is at max spectators");
    this.#spectators.add(connection);
    this.#showTo(connection);
  }

  #showTo(connection: ShardConnection): void {
    this.#views.add(connection);
    try {
      // It receives the current view immediately, without waiting for the next step.
      this.#views.welcome(connection, this.#platform.monotonic());
    } catch (error) {
      this.#report("view", error);
    }
  }

  leave(connection: ShardConnection): void {
    connection.closed();
    this.#views.remove(connection);
    if (this.#spectators.delete(connection)) return;
    const { id } = connection.player;
    const connections = this.#connections.get(id);
    if (connections?.delete(connection) !== true || connections.size > 0) return;
    this.#connections.delete(id);
    this.#idleSince = this.#platform.monotonic();
    if (this.#graceMs === 0 || this.#kicked.has(id)) this.#enqueue({ kind: "leave", playerId: id });
    else this.#absent.set(id, this.#idleSince + this.#graceMs);
  }

  input(connection: ShardConnection, input: unknown, sent: SentWith): number {
    checkInput(this, connection, input, this.#platform.monotonic());
    this.take(connection, input, sent);
    return (this.#seq += 1);
  }

  /** Frames to a connection were dropped: the next one is a full view. */
  missed(connection: ShardConnection): void {
    this.#views.forget(connection);
  }

  /** Receives an input that was already checked. */
  take(connection: ShardConnection, input: unknown, { clientSeq, seen }: SentWith): void {
    if (!this.#isRunning || !connection.isOpen) return;
    const event = { kind: "input", playerId: connection.player.id, input } as const;
    const sender = { connection, clientSeq };
    this.#enqueue(seen === undefined ? event : { ...event, seen }, sender);
  }

  settle(result: CallResult): void {
    if (this.#isRunning) this.#enqueue(result);
  }

  kick(playerId: string, reason: string): Promise<boolean> {
    return Promise.try(() => this.#disconnect(playerId, reason));
  }

  #disconnect(playerId: string, reason: string): boolean {
    const connections = this.#connections.get(playerId);
    const wasHere = connections !== undefined || this.#absent.delete(playerId);
    this.#kicked.add(playerId);
    for (const spectator of [...this.#spectators])
      if (spectator.player.id === playerId) this.#closeKicked(spectator, reason);
    if (connections === undefined) {
      if (wasHere) this.#enqueue({ kind: "leave", playerId });
      return wasHere;
    }
    for (const connection of connections) this.#closeKicked(connection, reason);
    return true;
  }

  #closeKicked(connection: ShardConnection, reason: string): void {
    connection.close(CloseCode.KICKED, `kicked: ${reason}`.slice(0, MAX_REASON));
    this.leave(connection);
  }

  /** Removes players who did not reconnect, and ends an idle shard. */
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

  stop(code: CloseCode, reason: string): void {
    this.#isRunning = false;
    this.#recording.end();
    this.#timer?.cancel();
    for (const connection of this.connections()) connection.close(code, reason);
    for (const connection of this.connections()) this.#views.remove(connection);
    this.#connections.clear();
    this.#spectators.clear();
    this.#queue = [];
    this.#senders = [];
  }

  dispose(): void {
    // It holds no resources.
  }

  get #graceMs(): number {
    return (this.definition.graceSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
  }

  #checkOpen(player: ShardPlayer): void {
    if (!this.#isRunning) throw new PylonError("SUBSCRIBE_FAILED", "shard is stopped");
    if (this.#kicked.has(player.id))
      throw new PylonError("FORBIDDEN", "You were removed from this shard.");
  }

  #checkJoin(player: ShardPlayer, connections: number): void {
    const { maxPlayers = DEFAULT_MAX_PLAYERS, mayJoin } = this.definition;
    this.#checkOpen(player);
    if (connections >= MAX_SHARD_CONNECTIONS_OF_USER)
      throw new PylonError(
        "SUBSCRIBE_FAILED",
        `A user may have at most ${MAX_SHARD_CONNECTIONS_OF_USER} connections to a shard.`,
      );
    const isNew = connections === 0 && !this.#absent.has(player.id);
    if (isNew && this.players >= maxPlayers)
      throw new PylonError("SUBSCRIBE_FAILED", "shard is at max subscribers");
    if (mayJoin !== undefined && !this.#allows(mayJoin, player))
      throw new PylonError("FORBIDDEN", "The shard does not let you join.");
  }

  /** Returns false if the handler throws. */
  #allows(mayJoin: NonNullable<ShardDefinition["mayJoin"]>, player: ShardPlayer): boolean {
    try {
      return mayJoin(player, this.#simulation.state) === true;
    } catch (error) {
      this.#report("mayJoin", error);
      return false;
    }
  }

  #enqueue(event: ShardEvent, sender: Sender | null = null): void {
    this.#queue.push(event);
    this.#senders.push(sender);
    if (tickRateOf(this.definition) === 0) this.#schedule(0);
  }

  /** @param minMs the minimum time until the next step, in milliseconds */
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
    // If it is late by more than a step, the missed steps are skipped.
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
    // A single slow step may be caused by the machine. A shard that is too slow pauses as long as
    // its step took, so that other work gets at least half of the thread.
    const isThrottled = this.#overruns >= THROTTLED_AFTER;
    if (isThrottled) this.#overran(durationMs);
    this.#schedule(isThrottled ? Math.min(durationMs, MAX_PAUSE_MS) : 0);
  }

  #overran(durationMs: number): void {
    if (this.#isNew("overrun")) this.#observer.throttled(this.id, durationMs);
  }

  /** An error in the server's own code is logged, and skips the step. */
  #stepOr(sent: number, now: number): number {
    try {
      return this.#step(now);
    } catch (error) {
      this.#report("step", error);
      return sent;
    }
  }

  /** @returns the number of characters that were sent */
  #step(now: number): number {
    const [events, senders] = [this.#queue, this.#senders];
    this.#queue = [];
    this.#senders = [];
    this.#recording.stepping(events);
    const result = this.#simulation.advance(events);
    this.#recording.stepped();
    if (result.endsRecording) this.#recording.next();
    this.#observer.recorded?.(this.id, { tick: this.tick, events });
    this.#answer(events, senders, result);
    for (const error of result.timerFaults) this.#report("onTimer", error);
    for (const error of result.tickFaults) this.#report("tick", error);
    const isShown = this.#show();
    this.#failures = isShown && result.tickFaults.length === 0 ? 0 : this.#failures + 1;
    let sent = 0;
    for (const group of this.#views.groups)
      if (this.#views.isDue(group))
        for (const connection of group.connections) sent += this.#deliverTo(group, connection, now);
    for (const call of result.scheduled) this.#observer.schedule(this.id, call);
    for (const call of result.calls) this.#observer.call(this, call);
    this.#log.add(result.log, now);
    for (const [playerId, reason] of result.kicked) this.#disconnect(playerId, reason);
    if (result.isFinished) this.#end("discard");
    else if (this.#failures >= MAX_SHARD_FAILURES) this.#end("leave as saved");
    return sent;
  }

  #answer(
    events: readonly ShardEvent[],
    senders: readonly (Sender | null)[],
    { refused, faults }: StepResult,
  ): void {
    for (const sender of senders) sender?.connection.applied(sender.clientSeq);
    if (refused.size + faults.size === 0) return;
    for (const [index, { kind }] of events.entries()) {
      const { connection, clientSeq = null } = senders[index] ?? {};
      const error = faults.get(index);
      if (error !== undefined) this.#report(HANDLERS[kind], error);
      const refusal = refused.get(index);
      if (refusal !== undefined) connection?.refuse(clientSeq, refusal.code, refusal.message);
      else if (error !== undefined)
        connection?.refuse(clientSeq, "INTERNAL", "The shard failed to apply this input.");
    }
  }

  /** @returns whether there is a view to send */
  #show(): boolean {
    try {
      this.#views.show();
      return true;
    } catch (error) {
      this.#report("view", error);
      return false;
    }
  }

  #deliverTo(group: ViewGroup, connection: ShardConnection, now: number): number {
    try {
      const sent = this.#views.deliver(group, connection, now);
      if (sent === null) this.#observer.leftOut(this.name);
      if (!connection.isOpen) this.leave(connection);
      return sent ?? 0;
    } catch (error) {
      this.#report("view", error);
      return 0;
    }
  }

  #end(fate: StateOnStop): void {
    if (this.#isRunning) this.#observer.ended(this, fate);
  }

  /** Logs a problem, but not again in each step. */
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

const HANDLERS = {
  join: "onJoin",
  leave: "onLeave",
  input: "onInput",
  result: "onResult",
  failure: "onResult",
} as const;
/** The error of a call whose shard was stopped before its result arrived. */
const INTERRUPTED = {
  code: "INTERRUPTED",
  message: "The shard was stopped before the call returned.",
} as const;
/** The reason of a close frame has at most 123 bytes; a character has up to four. */
const MAX_REASON = 30;

/** Returns the name of the file that defines a shard. @param id `NAME` or `NAME:KEY` */
export function nameOf(id: string): string {
  return id.split(":", 1)[0] ?? id;
}
