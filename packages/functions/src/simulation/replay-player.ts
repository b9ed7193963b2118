import type { ShardDefinition, ShardPlayer } from "../shard.ts";
import type { ShardLogLine } from "../shard-work.ts";
import { exactJson } from "./exact-json.ts";
import { readReplay, stepsOf, type Replay } from "./replay.ts";
import { Simulation, versionOf, type RecordedStep, type ShardEvent } from "./simulation.ts";
import { stateHash } from "./state-hash.ts";

/** The result of comparing a replay with its recording so far. */
export interface ReplayVerdict {
  /** Whether the state matched that of the server at each checkpoint so far. */
  readonly isSame: boolean;
  /** The number of checkpoints compared so far, and in total. */
  readonly checked: number;
  readonly checkpoints: number;
  /** The tick of the first checkpoint that did not match; null for none. */
  readonly differsAt: number | null;
}

/** Plays a recorded run. */
export interface ReplayPlayer<View> {
  /** The current step, from `from` to `to`. */
  readonly tick: number;
  readonly from: number;
  readonly to: number;
  /** Steps per second; 0: without a tick rate. */
  readonly tickRate: number;
  /** The players who are in the shard now. */
  readonly players: readonly ShardPlayer[];
  /** The lines that the current step logged. */
  readonly log: readonly ShardLogLine[];
  /** Plays the next step. @returns false at the end */
  step(): boolean;
  /**
   * Seeks to a step; seeking back restarts from the beginning. @throws RangeError outside of the
   * run
   */
  seek(tick: number): void;
  /**
   * Returns the current view of all players, of spectators, or of the player with this id.
   *
   * @throws TypeError if players have different views and no current player is given
   */
  view(playerId?: string): View;
  /** Whether the replay matches the recording, as far as it was played. */
  readonly verdict: ReplayVerdict;
}

/**
 * Replays a recorded run, also in a browser: it runs the shard's own code with the recorded inputs.
 *
 * @param definition the export of `shards/NAME.ts`, of the version that was recorded
 * @param recorded the downloaded replay
 * @throws TypeError for an invalid replay, or one with another version of the state
 *
 * @example
 * import type { ShardDefinition } from "@pylonsync/functions";
 * import { playReplay } from "@pylonsync/functions/simulation";
 *
 * async function replay(arena: ShardDefinition, url: string): Promise<boolean> {
 *   const player = playReplay(arena, await (await fetch(url)).json());
 *   while (player.step()) console.log(player.view());
 *   return player.verdict.isSame;
 * }
 */
export function playReplay<View>(
  definition: ShardDefinition & { readonly __types?: { readonly view: View } },
  recorded: unknown,
): ReplayPlayer<View> {
  return new SimulatedReplay<View>(definition, readReplay(recorded));
}

class SimulatedReplay<View> implements ReplayPlayer<View> {
  readonly #definition: ShardDefinition;
  readonly #replay: Replay;
  /** Parsed again for each run, which modifies its state in place. */
  readonly #initial: string;
  readonly #steps: readonly RecordedStep[];
  readonly #hashes: ReadonlyMap<number, string>;
  readonly #checked = new Set<number>();
  #simulation: Simulation;
  #next = 0;
  #log: readonly ShardLogLine[] = [];
  #differsAt: number | null = null;

  constructor(definition: ShardDefinition, replay: Replay) {
    const { initial } = replay;
    if (initial.version !== versionOf(definition))
      throw new TypeError(
        `The replay has a state of version ${initial.version}, but the shard's code has ` +
          `version ${versionOf(definition)}: replay it with the code that recorded it.`,
      );
    this.#definition = definition;
    this.#replay = replay;
    this.#initial = exactJson(initial, "initial");
    this.#steps = stepsOf(replay);
    this.#hashes = new Map(replay.checkpoints);
    this.#simulation = this.#begun();
  }

  get tick(): number {
    return this.#simulation.tick;
  }
  get from(): number {
    return this.#replay.from_tick;
  }
  get to(): number {
    return this.#replay.to_tick;
  }
  get tickRate(): number {
    return this.#replay.tick_rate;
  }
  get players(): readonly ShardPlayer[] {
    return [...this.#simulation.players.values()];
  }

  get log(): readonly ShardLogLine[] {
    return this.#log;
  }

  step(): boolean {
    if (this.tick >= this.to) return false;
    const step = this.#steps[this.#next];
    const isNow = step?.tick === this.tick + 1;
    const { log } = this.#simulation.advance(isNow ? step.events.map(copyOf) : []);
    this.#log = log;
    if (isNow) this.#next += 1;
    this.#check();
    return true;
  }

  seek(tick: number): void {
    if (!Number.isInteger(tick) || tick < this.from || tick > this.to)
      throw new RangeError(`The step must be from ${this.from} to ${this.to}.`);
    if (tick < this.tick) {
      this.#simulation = this.#begun();
      this.#next = 0;
      this.#log = [];
    }
    while (this.tick < tick) this.step();
  }

  view(playerId?: string): View {
    const { view, viewFor, viewForSpectators } = this.#definition;
    const { state, players } = this.#simulation;
    const player = playerId === undefined ? undefined : players.get(playerId);
    if (viewFor !== undefined && player !== undefined) return viewFor(state, player) as View;
    const shared = view ?? viewForSpectators;
    if (shared !== undefined) return shared(state) as View;
    throw new TypeError(
      "Players of this shard have different views: pass the id of a current player.",
    );
  }

  get verdict(): ReplayVerdict {
    return {
      isSame: this.#differsAt === null,
      checked: this.#checked.size,
      checkpoints: this.#hashes.size,
      differsAt: this.#differsAt,
    };
  }

  #begun(): Simulation {
    return Simulation.restore(this.#replay.shard, this.#definition, JSON.parse(this.#initial));
  }

  #check(): void {
    const { tick } = this;
    const hash = this.#hashes.get(tick);
    if (hash === undefined || this.#checked.has(tick)) return;
    this.#checked.add(tick);
    if (this.#differsAt === null && this.#hash() !== hash) this.#differsAt = tick;
  }

  /** A state that can't be saved differs from that of the server. */
  #hash(): string | null {
    try {
      return stateHash(this.#simulation.save());
    } catch {
      return null;
    }
  }
}

/** Handlers may modify an input that they put into the state; the next run needs the original. */
function copyOf(event: ShardEvent): ShardEvent {
  return event.kind === "input" ? { ...event, input: structuredClone(event.input) } : event;
}
