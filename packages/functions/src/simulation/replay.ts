import type { ShardPlayer } from "../shard.ts";
import { exactJson } from "./exact-json.ts";
import type { RecordedStep, SavedSimulation, ShardEvent } from "./simulation.ts";

/** The number of steps between the checkpoints of a recorded run. */
export const CHECKPOINT_STEPS = 200;
const FORMAT = "pylon.replay";
const VERSION = 1;
const KIND = { join: 0, leave: 1, input: 2, result: 3, failure: 4 } as const;

/**
 * A recorded event. Players are numbered in the order of their first event; a `call` is the number
 * that the simulation gave it.
 */
type RecordedEvent =
  | readonly [kind: 0, player: ShardPlayer]
  | readonly [kind: 1, player: number]
  | readonly [kind: 2, player: number, input: unknown, seen?: number]
  | readonly [kind: 3, call: number, value: unknown]
  | readonly [kind: 4, call: number, code: string, message: string];

/** A recorded run: the initial state of a shard, and the events of each step. Plain JSON. */
export interface Replay {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  /** The id of the shard. */
  readonly shard: string;
  /** The hash of the files that it ran from; null if the server had none of them. */
  readonly code: string | null;
  /** Steps per second; 0: only steps when there was something to do. */
  readonly tick_rate: number;
  /** The recorded steps: those after `from_tick`, up to `to_tick`. */
  readonly from_tick: number;
  readonly to_tick: number;
  /** The start and the end, in ISO 8601. */
  readonly started_at: string;
  readonly ended_at: string;
  readonly initial: SavedSimulation;
  /** Steps with events, in order. */
  readonly steps: readonly (readonly [tick: number, events: readonly RecordedEvent[]])[];
  /** The `stateHash` of the saved state after a step. */
  readonly checkpoints: readonly (readonly [tick: number, hash: string])[];
}

/** Encodes the events of a run, one step at a time. */
export class StepEncoder {
  readonly #numbers = new Map<string, number>();

  /** @param players the players who are in the shard when the recording begins */
  constructor(players: Iterable<ShardPlayer>) {
    for (const { id } of players) this.#number(id);
  }

  /**
   * @returns the step as JSON; null if it has no events
   * @throws TypeError for an input that is not JSON data
   */
  encode(tick: number, events: readonly ShardEvent[]): string | null {
    const texts = events.map((event) => this.#text(event)).filter((text) => text !== null);
    return texts.length === 0 ? null : `[${tick},[${texts.join(",")}]]`;
  }

  #text(event: ShardEvent): string | null {
    if (event.kind === "join") {
      this.#number(event.player.id);
      return `[${KIND.join},${JSON.stringify(event.player)}]`;
    }
    if (event.kind === "result") return `[${KIND.result},${event.call},${event.json}]`;
    if (event.kind === "failure") {
      const { call, code, message } = event;
      return `[${KIND.failure},${call},${JSON.stringify(code)},${JSON.stringify(message)}]`;
    }
    const number = this.#numbers.get(event.playerId);
    // The simulation ignores them too.
    if (number === undefined) return null;
    if (event.kind === "leave") return `[${KIND.leave},${number}]`;
    const seen = event.seen === undefined ? "" : `,${event.seen}`;
    return `[${KIND.input},${number},${exactJson(event.input, "input")}${seen}]`;
  }

  #number(id: string): void {
    if (!this.#numbers.has(id)) this.#numbers.set(id, this.#numbers.size);
  }
}

/**
 * Returns the steps of a replay for a simulation. @throws TypeError for events of unknown players
 */
export function stepsOf({ initial, steps }: Replay): RecordedStep[] {
  const ids = initial.players.map(({ id }) => id);
  const known = new Set(ids);
  return steps.map(([tick, events]) => ({
    tick,
    events: events.map((event) => eventOf(event, ids, known)),
  }));
}

/** @param ids the players by number, to which those who join are added */
function eventOf(event: RecordedEvent, ids: string[], known: Set<string>): ShardEvent {
  if (event[0] === KIND.join) {
    const [, player] = event;
    if (!known.has(player.id)) ids.push(player.id);
    known.add(player.id);
    return { kind: "join", player };
  }
  if (event[0] === KIND.result) {
    const [, call, value] = event;
    return { kind: "result", call, json: exactJson(value, "result") };
  }
  if (event[0] === KIND.failure) {
    const [, call, code, message] = event;
    return { kind: "failure", call, code, message };
  }
  const playerId = ids[event[1]];
  if (playerId === undefined) throw new TypeError("An event belongs to a player who never joined.");
  if (event[0] === KIND.leave) return { kind: "leave", playerId };
  const [, , input, seen] = event;
  return { kind: "input", playerId, input, ...(seen === undefined ? {} : { seen }) };
}

/**
 * Validates a downloaded replay.
 *
 * @throws TypeError that names the problem
 *
 * @example
 * import { readReplay } from "@pylonsync/functions/simulation";
 *
 * const replay = readReplay(await (await fetch("/api/shards/arena/replays/ID")).json());
 */
export function readReplay(value: unknown): Replay {
  const { format, version, ...rest }: Partial<Replay> = Object(value);
  if (format !== FORMAT) throw new TypeError("This is not a replay of a shard.");
  if (version !== VERSION)
    throw new TypeError(
      `This replay has format version ${String(version)}; only ${VERSION} is supported.`,
    );
  const { shard, from_tick, to_tick, initial, steps, checkpoints, tick_rate } = rest;
  const isWhole =
    typeof shard === "string" &&
    isTick(from_tick) &&
    isTick(to_tick) &&
    to_tick >= from_tick &&
    isTick(tick_rate) &&
    initial?.tick === from_tick &&
    Array.isArray(initial.players) &&
    areTimed(steps, from_tick, to_tick, Array.isArray) &&
    areTimed(checkpoints, from_tick, to_tick, (hash) => typeof hash === "string");
  if (!isWhole) throw new TypeError("This replay is incomplete: download it again.");
  return value as Replay;
}

function isTick(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Whether all entries are pairs of a tick and data, in order and within the run. */
function areTimed(
  list: unknown,
  from: number,
  to: number,
  isOne: (value: unknown) => boolean,
): boolean {
  if (!Array.isArray(list)) return false;
  let last = from;
  return list.every((pair: unknown) => {
    if (!Array.isArray(pair) || !isTick(pair[0]) || pair[0] <= last || pair[0] > to) return false;
    last = pair[0];
    return isOne(pair[1]);
  });
}
