import { PylonError } from "@pylonsync/protocol";
import type { ShardDefinition, ShardPlayer, ShardStep } from "@pylonsync/functions";
import { exactJson } from "./exact-json.ts";
import { SeededRandom, type RandomState } from "./seeded-random.ts";

/** What happens to a shard between two steps, in order. */
export type ShardEvent =
  | { readonly kind: "join"; readonly player: ShardPlayer }
  | { readonly kind: "leave"; readonly playerId: string }
  | { readonly kind: "input"; readonly playerId: string; readonly input: unknown };

/** All that a simulation goes on from: plain JSON data. */
export interface SavedSimulation {
  /** Of the definition: another one does not know this state. */
  readonly version: number;
  readonly tick: number;
  readonly random: RandomState;
  readonly players: readonly ShardPlayer[];
  readonly state: unknown;
}

/** A call of a function that a step asked for. */
export interface ScheduledByShard {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What one step came to. */
export interface StepResult {
  /** Why, by player. */
  readonly kicked: ReadonlyMap<string, string>;
  readonly isFinished: boolean;
  /** Inputs that the rules refused, by the event's place. */
  readonly refused: ReadonlyMap<number, PylonError>;
  /** What the app's handlers threw besides, by the event's place. */
  readonly faults: ReadonlyMap<number, unknown>;
  /** What `tick` threw, in a list of one. */
  readonly tickFaults: readonly unknown[];
  readonly scheduled: readonly ScheduledByShard[];
}

/** Most calls of functions that one step asks for. */
const MAX_SCHEDULED = 100;

/** Where the steps of a run are counted by time: `0` has no length. */
const DEFAULT_RATE = 20;

/** Steps a second of a shard; 0: a step when there is something to do. */
export function tickRateOf({ tickRate = DEFAULT_RATE }: ShardDefinition): number {
  return tickRate;
}

/** Which form of the state a definition knows. */
export function versionOf({ version = 1 }: ShardDefinition): number {
  return version;
}

/**
 * One shard without time and network. Its state follows from where it began and from the events of
 * each step alone, so that a run can be repeated: what a handler may know is in the step.
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
  #isFinished = false;
  #step: ShardStep | null = null;

  private constructor(id: string, definition: ShardDefinition, random: SeededRandom, tick: number) {
    this.#id = id;
    this.#definition = definition;
    this.#random = random;
    this.#tick = tick;
  }

  /** A new one. @throws what `init` throws; TypeError for a state that can't be saved */
  static begin(id: string, definition: ShardDefinition, seed: number): Simulation {
    const simulation = new Simulation(id, definition, SeededRandom.of(seed), 0);
    simulation.#state = definition.init(simulation.#stepNow());
    exactJson(simulation.#state);
    return simulation;
  }

  /** One that goes on where another was saved. */
  static restore(id: string, definition: ShardDefinition, saved: SavedSimulation): Simulation {
    const random = new SeededRandom(saved.random);
    const simulation = new Simulation(id, definition, random, saved.tick);
    for (const player of saved.players) simulation.#players.set(player.id, player);
    simulation.#state = saved.state;
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

  /** New code for the same state. */
  replace(definition: ShardDefinition): void {
    this.#definition = definition;
    this.#step = null;
  }

  /** Applies the events in order, then lets one step of time pass. Never throws. */
  advance(events: readonly ShardEvent[]): StepResult {
    this.#tick += 1;
    this.#kicked = new Map();
    this.#scheduled = [];
    const refused = new Map<number, PylonError>();
    const faults = new Map<number, unknown>();
    const tickFaults: unknown[] = [];
    const step = this.#stepNow();
    events.forEach((event, index) => {
      try {
        this.#apply(event, step);
      } catch (error) {
        if (event.kind === "input" && error instanceof PylonError) refused.set(index, error);
        else faults.set(index, error);
      }
    });
    try {
      this.#definition.tick?.(this.#state, step);
    } catch (error) {
      tickFaults.push(error);
    }
    return {
      kicked: this.#kicked,
      isFinished: this.#isFinished,
      refused,
      faults,
      tickFaults,
      scheduled: this.#scheduled,
    };
  }

  /**
   * All that it goes on from, as JSON text of a SavedSimulation.
   *
   * @throws TypeError naming what in the state can't be saved
   */
  save(): string {
    const { tick } = this;
    const [random, players] = [this.#random.state, [...this.#players.values()]];
    const known = JSON.stringify({ version: versionOf(this.#definition), tick, random, players });
    return `${known.slice(0, -1)},"state":${exactJson(this.#state)}}`;
  }

  #apply(event: ShardEvent, step: ShardStep): void {
    if (event.kind === "join") {
      this.#players.set(event.player.id, event.player);
      this.#definition.onJoin?.(this.#state, event.player, step);
      return;
    }
    const player = this.#players.get(event.playerId);
    if (player === undefined) return;
    if (event.kind === "input") {
      this.#definition.onInput?.(this.#state, player, event.input, step);
      return;
    }
    this.#players.delete(player.id);
    this.#definition.onLeave?.(this.#state, player, step);
  }

  /** One object for all steps: its fields are those of the step that is under way. */
  #stepNow(): ShardStep {
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
      finish: () => {
        this.#isFinished = true;
      },
      schedule: (name, args = {}) => {
        if (this.#scheduled.length >= MAX_SCHEDULED)
          throw new RangeError(`One step schedules at most ${MAX_SCHEDULED} calls.`);
        this.#scheduled.push({ name, args });
      },
      refuse: (code, message) => new PylonError(code, message),
    };
    return this.#step;
  }
}

/** The events of one step of a recorded run. Steps without events are left out. */
export interface RecordedStep {
  readonly tick: number;
  readonly events: readonly ShardEvent[];
}

/**
 * Repeats a run.
 *
 * @param simulation where the run began
 * @param steps in order
 * @param tick up to which step
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
