import { PylonError } from "@pylonsync/protocol";
import type { PastMoment } from "../shard-history.ts";
import type { ShardDefinition, ShardInputStep, ShardPlayer } from "../shard.ts";
import type { ShardCallOptions, ShardLogLine, ShardResult } from "../shard-work.ts";
import { exactJson } from "./exact-json.ts";
import { LogLines } from "./log-lines.ts";
import {
  checkCallOptions,
  PendingWork,
  type RequestedCall,
  type SavedPending,
  type ShardCallKind,
} from "./pending-work.ts";
import { StateHistory, type SavedHistory } from "./state-history.ts";
import { SeededRandom, type RandomState } from "./seeded-random.ts";

/** An event between two steps of a shard, in order. */
export type ShardEvent =
  | { readonly kind: "join"; readonly player: ShardPlayer }
  | { readonly kind: "leave"; readonly playerId: string }
  | {
      readonly kind: "input";
      readonly playerId: string;
      readonly input: unknown;
      /** The tick that the player saw, with its fraction. */
      readonly seen?: number;
    }
  | CallResult;

/** The result of a call that a step requested: its value as JSON, or its error. */
export type CallResult =
  | { readonly kind: "result"; readonly call: number; readonly json: string }
  | {
      readonly kind: "failure";
      readonly call: number;
      readonly code: string;
      readonly message: string;
    };

/** The complete state of a simulation: plain JSON data. */
export interface SavedSimulation {
  /** The version of the definition; another version can't load this state. */
  readonly version: number;
  readonly tick: number;
  readonly random: RandomState;
  readonly players: readonly ShardPlayer[];
  /** Only for a shard with `history`. */
  readonly history?: SavedHistory;
  /** Only for a shard that has made calls or started timers. */
  readonly pending?: SavedPending;
  readonly state: unknown;
}

/** A function call that a step requested. */
export interface ScheduledByShard {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** The result of one step. */
export interface StepResult {
  /** The reasons, by player. */
  readonly kicked: ReadonlyMap<string, string>;
  readonly isFinished: boolean;
  /** Whether the current recording ends with this step, and the next one begins. */
  readonly endsRecording: boolean;
  /** Inputs that were rejected with `step.refuse`, by the index of the event. */
  readonly refused: ReadonlyMap<number, PylonError>;
  /** Other errors thrown by the app's handlers, by the index of the event. */
  readonly faults: ReadonlyMap<number, unknown>;
  /** The error thrown by `tick`, in a list of one. */
  readonly tickFaults: readonly unknown[];
  /** The errors thrown by `onTimer`. */
  readonly timerFaults: readonly unknown[];
  readonly scheduled: readonly ScheduledByShard[];
  /** The calls to make. A replay ignores them, because their results are recorded. */
  readonly calls: readonly RequestedCall[];
  readonly log: readonly ShardLogLine[];
}

/** The maximum number of function calls per step. */
const MAX_SCHEDULED = 100;

/** The rate for converting steps to time, if the tick rate is 0. */
const DEFAULT_RATE = 20;

/** Returns the steps per second of a shard; 0: only steps when there is something to do. */
export function tickRateOf({ tickRate = DEFAULT_RATE }: ShardDefinition): number {
  return tickRate;
}

/** Returns the version of a definition's state format. */
export function versionOf({ version = 1 }: ShardDefinition): number {
  return version;
}

/**
 * Simulates one shard without time and network. The state only depends on the initial state and the
 * events of each step, so that a run can be repeated: everything else a handler may use is in the
 * step.
 */
export class Simulation {
  #definition: ShardDefinition;
  readonly #id: string;
  readonly #random: SeededRandom;
  readonly #players = new Map<string, ShardPlayer>();
  #tick: number;
  #state: unknown;
  #kicked = new Map<string, string>();
  #scheduled: ScheduledByShard[] = [];
  #calls: RequestedCall[] = [];
  #pending = new PendingWork();
  readonly #log = new LogLines();
  #isFinished = false;
  #endsRecording = false;
  #step: ShardInputStep<unknown> | null = null;
  #history: StateHistory | null = null;
  /** The tick that the player of the current input saw. */
  #seen: number | null = null;

  private constructor(id: string, definition: ShardDefinition, random: SeededRandom, tick: number) {
    this.#id = id;
    this.#definition = definition;
    this.#random = random;
    this.#tick = tick;
  }

  /** Creates a new shard. @throws what `init` throws; TypeError for a state that can't be saved */
  static begin(id: string, definition: ShardDefinition, seed: number): Simulation {
    const simulation = new Simulation(id, definition, SeededRandom.of(seed), 0);
    simulation.#state = definition.init(simulation.#stepNow());
    exactJson(simulation.#state);
    return simulation;
  }

  /** Restores a saved shard. */
  static restore(id: string, definition: ShardDefinition, saved: SavedSimulation): Simulation {
    const random = new SeededRandom(saved.random);
    const simulation = new Simulation(id, definition, random, saved.tick);
    for (const player of saved.players) simulation.#players.set(player.id, player);
    simulation.#state = saved.state;
    if (saved.history !== undefined) simulation.#history = new StateHistory(saved.history);
    if (saved.pending !== undefined) simulation.#pending = new PendingWork(saved.pending);
    return simulation;
  }

  get tick(): number {
    return this.#tick;
  }

  get state(): unknown {
    return this.#state;
  }

  get definition(): ShardDefinition {
    return this.#definition;
  }

  get players(): ReadonlyMap<string, ShardPlayer> {
    return this.#players;
  }

  /** The calls of a restored simulation whose results were lost when it was stopped. */
  get interruptedCalls(): readonly number[] {
    const requested = new Set(this.#calls.map(({ call }) => call));
    return this.#pending.calls.filter((call) => !requested.has(call));
  }

  /** Replaces the code and keeps the state. */
  replace(definition: ShardDefinition): void {
    this.#definition = definition;
    this.#step = null;
  }

  /** Applies the events in order, then advances by one step. Never throws. */
  advance(events: readonly ShardEvent[]): StepResult {
    this.#tick += 1;
    const refused = new Map<number, PylonError>();
    const faults = new Map<number, unknown>();
    const tickFaults: unknown[] = [];
    const timerFaults: unknown[] = [];
    const step = this.#stepNow();
    for (let index = 0; index < events.length; index += 1) {
      const event = events[index];
      if (event === undefined) continue;
      try {
        this.#apply(event, step);
      } catch (error) {
        if (event.kind === "input" && error instanceof PylonError) refused.set(index, error);
        else faults.set(index, error);
      }
    }
    this.#fire(step, timerFaults);
    try {
      this.#definition.tick?.(this.#state, step);
    } catch (error) {
      tickFaults.push(error);
    }
    try {
      this.#remember();
    } catch (error) {
      tickFaults.push(error);
    }
    return this.#resultOf({ refused, faults, tickFaults, timerFaults });
  }

  /** Adds what handlers requested since the last step; `init` requests it for the first one. */
  #resultOf({
    refused,
    faults,
    tickFaults,
    timerFaults,
  }: Pick<StepResult, "refused" | "faults" | "tickFaults" | "timerFaults">): StepResult {
    const [kicked, scheduled, calls] = [this.#kicked, this.#scheduled, this.#calls];
    if (kicked.size > 0) this.#kicked = new Map();
    if (scheduled.length > 0) this.#scheduled = [];
    if (calls.length > 0) this.#calls = [];
    const [isFinished, endsRecording] = [this.#isFinished, this.#endsRecording];
    this.#endsRecording = false;
    const log = this.#log.take();
    const requested = { kicked, isFinished, endsRecording, scheduled, calls, log };
    return { ...requested, refused, faults, tickFaults, timerFaults };
  }

  /**
   * Returns the complete state, as the JSON of a SavedSimulation.
   *
   * @throws TypeError that names the part of the state that can't be saved
   */
  save(): string {
    const { tick } = this;
    const [random, players] = [this.#random.state, [...this.#players.values()]];
    const known = JSON.stringify({ version: versionOf(this.#definition), tick, random, players });
    const history = this.#history === null ? "" : `,"history":${this.#history.save()}`;
    const saved = this.#pending.save();
    const pending = saved === null ? "" : `,"pending":${saved}`;
    return `${known.slice(0, -1)}${history}${pending},"state":${exactJson(this.#state)}}`;
  }

  #remember(): void {
    const { history } = this.#definition;
    if (history === undefined) {
      this.#history = null;
      return;
    }
    this.#history ??= new StateHistory();
    // The newest step, and as many before it as cover that time.
    const steps = 1 + Math.ceil((history.ms / 1000) * tickRateOf(this.#definition));
    this.#history.add(this.#tick, history.keep(this.#state), steps);
  }

  #rewind(): PastMoment<unknown> {
    const { history } = this.#definition;
    if (history === undefined)
      throw new TypeError("step.rewind() requires a shard with history: { ms, keep }.");
    const moment = this.#history?.at(this.#seen ?? this.#tick) ?? null;
    if (moment !== null) return moment;
    // Before the first step, only the initial state exists.
    const past = history.keep(this.#state);
    return { from: past, to: past, share: 0, tick: this.#tick };
  }

  /** Calls `onTimer` for each due timer; one that a timer starts is due in a later step. */
  #fire(step: ShardInputStep<unknown>, faults: unknown[]): void {
    for (;;) {
      const timer = this.#pending.takeDue(this.#tick);
      if (timer === null) return;
      try {
        this.#definition.onTimer?.(this.#state, timer, step);
      } catch (error) {
        faults.push(error);
      }
    }
  }

  /** Each time parses new objects, which the handler may put into the state. */
  #settle(event: CallResult, step: ShardInputStep<unknown>): void {
    const pending = this.#pending.takeCall(event.call);
    if (pending === undefined) return;
    const { kind, name, data } = pending;
    const outcome =
      event.kind === "result"
        ? { error: null, value: JSON.parse(event.json) as unknown }
        : { error: { code: event.code, message: event.message }, value: null };
    const result = { call: event.call, kind, name, data: JSON.parse(data) as unknown, ...outcome };
    // The app's types describe what its functions and entities return under these names.
    this.#definition.onResult?.(this.#state, result as ShardResult, step);
  }

  #request(
    kind: ShardCallKind,
    name: string,
    args: unknown,
    options: ShardCallOptions = {},
  ): number {
    if (this.#definition.onResult === undefined)
      throw new TypeError(`step.${kind} requires a shard with onResult.`);
    checkCallOptions(options);
    const { as } = options;
    if (as !== undefined && !this.#players.has(as))
      throw new TypeError(`step.${kind}: the player of "as" is not in the shard.`);
    const requested = this.#pending.request(kind, name, args, options);
    this.#calls.push(requested);
    return requested.call;
  }

  #after(ticks: number, name: string, data: unknown): number {
    const { onTimer } = this.#definition;
    if (onTimer === undefined || tickRateOf(this.#definition) === 0)
      throw new TypeError("step.after requires a shard with onTimer and a tickRate above 0.");
    if (!Number.isSafeInteger(ticks) || ticks < 1)
      throw new TypeError("step.after requires a whole number of steps, at least 1.");
    return this.#pending.addTimer(this.#tick + ticks, name, data);
  }

  #apply(event: ShardEvent, step: ShardInputStep<unknown>): void {
    if (event.kind === "result" || event.kind === "failure") return this.#settle(event, step);
    if (event.kind === "join") {
      this.#players.set(event.player.id, event.player);
      this.#definition.onJoin?.(this.#state, event.player, step);
      return;
    }
    const player = this.#players.get(event.playerId);
    if (player === undefined) return;
    if (event.kind === "input") {
      this.#seen = event.seen ?? null;
      this.#definition.onInput?.(this.#state, player, event.input, step);
      return;
    }
    this.#players.delete(player.id);
    this.#definition.onLeave?.(this.#state, player, step);
  }

  /** One object for all steps: its properties are those of the current step. */
  #stepNow(): ShardInputStep<unknown> {
    if (this.#step !== null) return this.#step;
    const rate = tickRateOf(this.#definition);
    const dt = rate === 0 ? 0 : 1 / rate;
    const shardId = this.#id;
    const tick = (): number => this.#tick;
    const players = (): ShardPlayer[] => [...this.#players.values()];
    this.#step = {
      shardId,
      get tick() {
        return tick();
      },
      dt,
      get time() {
        return rate === 0 ? 0 : tick() / rate;
      },
      get players() {
        return players();
      },
      random: () => this.#random.next(),
      kick: (playerId, reason) => void this.#kicked.set(playerId, reason),
      nextRecording: () => {
        this.#endsRecording = true;
      },
      finish: () => {
        this.#isFinished = true;
      },
      schedule: (name, args = {}) => {
        if (this.#scheduled.length >= MAX_SCHEDULED)
          throw new RangeError(`One step schedules at most ${MAX_SCHEDULED} calls.`);
        this.#scheduled.push({ name, args });
      },
      run: (name: string, args: unknown = {}, options?: ShardCallOptions) =>
        this.#request("run", name, args, options),
      get: (entity, id, options) => this.#request("get", entity, id, options),
      read: (entity, filter = {}, options) => this.#request("read", entity, filter, options),
      after: (ticks, name, data) => this.#after(ticks, name, data),
      cancel: (timer) => this.#pending.cancel(timer),
      log: this.#log.log,
      rewind: () => this.#rewind(),
      refuse: (code, message) => new PylonError(code, message),
    };
    return this.#step;
  }
}

/**
 * Restores a saved shard, or begins a new one. A state saved by another version is dropped.
 *
 * @param text the saved state; null: begin a new shard
 * @throws what `init` throws
 */
export function beginOrRestore(
  id: string,
  definition: ShardDefinition,
  text: string | null,
  { random }: { readonly random: (bytes: Uint8Array) => void },
): Simulation {
  if (text !== null) {
    const saved: SavedSimulation = JSON.parse(text);
    if (saved.version === versionOf(definition)) return Simulation.restore(id, definition, saved);
  }
  const seed = new Int32Array(1);
  random(new Uint8Array(seed.buffer));
  return Simulation.begin(id, definition, seed[0] ?? 0);
}

/** The events of one step of a recorded run. Steps without events are omitted. */
export interface RecordedStep {
  readonly tick: number;
  readonly events: readonly ShardEvent[];
}

/**
 * Replays a run.
 *
 * @param simulation the simulation at the start of the run
 * @param steps the recorded steps, in order
 * @param tick the step at which to stop
 */
export function replay(simulation: Simulation, steps: readonly RecordedStep[], tick: number): void {
  let next = 0;
  while (simulation.tick < tick) {
    const step = steps[next];
    const isNow = step?.tick === simulation.tick + 1;
    simulation.advance(isNow ? step.events : []);
    if (isNow) next += 1;
  }
}
