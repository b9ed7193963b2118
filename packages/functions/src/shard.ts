import type { Infer, Validator } from "./validators.ts";

/** A user in a shard, as the server knows them: no client can say it is another. */
export interface ShardPlayer {
  /** The id of the user. */
  readonly id: string;
  readonly isGuest: boolean;
  readonly tenantId: string | null;
  readonly roles: readonly string[];
}

/**
 * What the handlers of a shard may know of the world besides their state. All of it is the same
 * when a run is repeated, so handlers read neither a clock nor `Math.random`.
 */
export interface ShardStep {
  /** What the shard is called: `NAME`, or `NAME:KEY` where there are instances. */
  readonly shardId: string;
  /** The number of the step, from 1; it goes on when the server restarts. */
  readonly tick: number;
  /** How much time a step stands for, in seconds: always 1 / tickRate; 0 without a tick rate. */
  readonly dt: number;
  /** The time of the simulation, in seconds: the steps so far, `dt` each. */
  readonly time: number;
  /** Who is in the shard, in the order in which they joined. */
  readonly players: readonly ShardPlayer[];
  /** A random number of at least 0 and less than 1. */
  random(): number;
  /** Sends a player away after this step; they may not come back while the shard runs. */
  kick(playerId: string, reason: string): void;
  /** Ends the shard after this step: clients are told, and nothing of it is kept. */
  finish(): void;
  /**
   * Has a mutation or an action called after this step, as a job: at least once, with retries. For
   * results that belong in the database.
   */
  schedule(functionName: string, args?: Readonly<Record<string, unknown>>): void;
  /** An error to throw for an input that the rules do not allow: the client is told of it. */
  refuse(code: string, message: string): Error;
}

/** How a shard is run; each has a default. */
export interface ShardSettings {
  /** Steps a second, up to 60; 0: a step when there is something to do. Default 20. */
  readonly tickRate?: number;
  /** Most players at a time. Default 64. */
  readonly maxPlayers?: number;
  /** Inputs that one connection may send in a second, up to 120. Default 60. */
  readonly inputRate?: number;
  /** After how many seconds without a player it is saved and stopped. Default 90. */
  readonly idleSeconds?: number;
  /** How long a player whose connection broke stays in the shard, in seconds. Default 5. */
  readonly graceSeconds?: number;
  /** How often the state is saved, in seconds; 0: when it stops alone. Default 10. */
  readonly saveSeconds?: number;
  /** Of the state: one that was saved under another version is dropped. Default 1. */
  readonly version?: number;
  /** Whether there may be more than one, each named `NAME:KEY`. Default false. */
  readonly instances?: boolean;
}

/** A shard as the server holds it. */
export interface ShardDefinition extends ShardSettings {
  readonly type: "shard";
  readonly input: Validator;
  init(step: ShardStep): unknown;
  tick?(state: unknown, step: ShardStep): void;
  onJoin?(state: unknown, player: ShardPlayer, step: ShardStep): void;
  onLeave?(state: unknown, player: ShardPlayer, step: ShardStep): void;
  onInput?(state: unknown, player: ShardPlayer, input: unknown, step: ShardStep): void;
  mayJoin?(player: ShardPlayer, state: unknown): boolean;
  view?(state: unknown): unknown;
  viewFor?(state: unknown, player: ShardPlayer): unknown;
}

/** What `shard` takes. The handlers change the state in place; it is plain JSON data. */
export interface ShardOptions<State, V extends Validator, View> extends ShardSettings {
  /** What an input must be; another one never reaches `onInput`. */
  readonly input: V;
  /** The state of a new shard. */
  init(step: ShardStep): State;
  /** One step, after all inputs that came in since the last one. */
  tick?(state: State, step: ShardStep): void;
  onJoin?(state: State, player: ShardPlayer, step: ShardStep): void;
  onLeave?(state: State, player: ShardPlayer, step: ShardStep): void;
  onInput?(state: State, player: ShardPlayer, input: Infer<V>, step: ShardStep): void;
  /** Whether a user may join now. Without it every signed-in user may. */
  mayJoin?(player: ShardPlayer, state: State): boolean;
  /** What all players see. A shard has this or `viewFor`. */
  view?(state: State): View;
  /** What one player sees, where players must not see the same. */
  viewFor?(state: State, player: ShardPlayer): View;
}

/** A shard that knows its types. */
export interface TypedShard<Input, View> extends ShardDefinition {
  /** Never set: carries the types. */
  readonly __types?: { readonly input: Input; readonly view: View };
}

/** The largest value of each setting that has one; 1 is the least, but for those that may be 0. */
const BOUNDS = {
  tickRate: [0, 60],
  maxPlayers: [1, 1000],
  inputRate: [1, 120],
  idleSeconds: [1, 86_400],
  graceSeconds: [0, 3600],
  saveSeconds: [0, 3600],
  version: [0, 1_000_000],
} as const;
const HANDLERS = ["tick", "onJoin", "onLeave", "onInput", "mayJoin", "view", "viewFor"] as const;
const OPTIONS: ReadonlySet<string> = new Set([
  ...Object.keys(BOUNDS),
  ...HANDLERS,
  "instances",
  "input",
  "init",
]);

/**
 * Defines a shard: a simulation in `shards/NAME.ts` that the server runs at a fixed tick, such as a
 * match or a shared board.
 *
 * @throws TypeError naming an option that is wrong, which `pylon dev` shows with the file
 *
 * @example
 * export default shard({
 *   input: v.object({ dx: v.number() }),
 *   init: () => ({ x: 0 }),
 *   onInput: (state, _player, { dx }) => {
 *     state.x += dx;
 *   },
 *   view: (state) => ({ x: Math.round(state.x) }),
 * });
 */
export function shard<State, V extends Validator, View>(
  options: ShardOptions<State, V, View>,
): TypedShard<Infer<V>, View> {
  checkShard(Object(options));
  return { type: "shard", ...options };
}

function checkShard(options: Readonly<Record<string, unknown>>): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new TypeError(`A shard has no option "${unknown}": use ${[...OPTIONS].join(", ")}.`);
  if (!isValidator(options["input"]))
    throw new TypeError("input is a validator, such as v.object({ dx: v.number() }).");
  if (typeof options["init"] !== "function")
    throw new TypeError("init is a function that returns the state of a new shard.");
  for (const name of HANDLERS)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw new TypeError(`${name} is a function.`);
  if ((options["view"] === undefined) === (options["viewFor"] === undefined))
    throw new TypeError("A shard says what players see, by either view or viewFor.");
  for (const [name, [least, most]] of Object.entries(BOUNDS))
    checkNumber(name, options[name], least, most);
  if (options["instances"] !== undefined && typeof options["instances"] !== "boolean")
    throw new TypeError("instances is true or false.");
}

function isValidator(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
  );
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return;
  throw new TypeError(`${name} is a whole number from ${least} to ${most}.`);
}
