import { checkHistory, type HistoryRules, type PastMoment } from "./shard-history.ts";
import { checkInterest, type InterestDefinition, type InterestRules } from "./shard-interest.ts";
import { checkRecord, type RecordRules } from "./shard-record.ts";
import type { FnLog } from "./context/log.ts";
import type {
  GetFromShard,
  ReadFromShard,
  RunFromShard,
  ShardResult,
  ShardTimer,
} from "./shard-work.ts";
import type { Infer, Validator } from "./validators.ts";

/** A user in a shard, as authenticated by the server. */
export interface ShardPlayer {
  /** The user's id. */
  readonly id: string;
  readonly isGuest: boolean;
  readonly tenantId: string | null;
  readonly roles: readonly string[];
}

/**
 * The context of a shard's handlers, besides the state. It is deterministic: the same when a run is
 * repeated. So handlers must not use a clock or `Math.random`.
 */
export interface ShardStep {
  /** The id of the shard: `NAME`, or `NAME:KEY` with instances. */
  readonly shardId: string;
  /** The number of the step, from 1; it continues after a restart of the server. */
  readonly tick: number;
  /** The duration of a step, in seconds: always 1 / tickRate; 0 without a tick rate. */
  readonly dt: number;
  /** The simulation time, in seconds: the number of steps times `dt`. */
  readonly time: number;
  /** The players in the shard, in the order in which they joined. */
  readonly players: readonly ShardPlayer[];
  /** Returns a random number of at least 0 and less than 1. */
  random(): number;
  /** Removes a player after this step; the player can't rejoin while the shard runs. */
  kick(playerId: string, reason: string): void;
  /**
   * Ends the current recording after this step, and begins the next one there: one recording per
   * round, for example. Without `record` it has no effect.
   */
  nextRecording(): void;
  /** Ends the shard after this step: clients are notified, and its state is not kept. */
  finish(): void;
  /**
   * Calls a mutation or an action after this step, in a job: at least once, with retries. Use it
   * for results that belong in the database.
   */
  schedule(functionName: string, args?: Readonly<Record<string, unknown>>): void;
  /**
   * Runs a function of the app after this step, at most once. `onResult` receives its result, or
   * its error, in a later step; requires `onResult`.
   *
   * @returns the number of the call
   * @throws TypeError for arguments that are not plain JSON data, and for a player of `as` who is
   *   not in the shard; RangeError for too many calls or too large arguments
   * @example
   * step.run("ratingOf", { userId: player.id }, { data: player.id });
   */
  readonly run: RunFromShard;
  /** Reads a row by its id after this step, like `run`: the value is the row, or null. */
  readonly get: GetFromShard;
  /** Reads rows after this step, like `run`. Filters are those of `ctx.db.query`. */
  readonly read: ReadFromShard;
  /**
   * Starts a timer: `onTimer` is called in the step that is `ticks` later, before `tick`. Timers
   * are saved with the state. Requires `onTimer`, and a tick rate above 0.
   *
   * @param ticks a whole number of steps, at least 1
   * @param data plain JSON data that `onTimer` receives
   * @returns the number of the timer
   * @throws TypeError, RangeError for too many timers
   * @example
   * step.after(3 / step.dt, "respawn", { playerId });
   */
  after(ticks: number, name: string, data?: unknown): number;
  /** Cancels a timer by its number. @returns whether it was running */
  cancel(timer: number): boolean;
  /**
   * Writes to the server's log with the id of the shard. At most 20 lines per step and 100 lines
   * per ten seconds are kept. A replay does not write to any log.
   */
  readonly log: FnLog;
  /**
   * Creates an error to throw for an input that the rules do not allow; it is sent to the client.
   */
  refuse(code: string, message: string): Error;
}

/** The context of `onInput`. */
export interface ShardInputStep<Past> extends ShardStep {
  /**
   * Returns what the player saw when it sent this input, as far back as `history` reaches: a moment
   * between two steps if the client sent it with `send(input, seen)`, otherwise the newest step.
   *
   * @throws TypeError for a shard without `history`
   */
  rewind(): PastMoment<Past>;
}

/** Matchmaking options for one shard type. */
export interface MatchRules {
  /** The number of players that a match needs to begin. */
  readonly minPlayers: number;
  /** The maximum number of players in a match, including parties. Default: `minPlayers`. */
  readonly maxPlayers?: number;
  /** How long a match that could begin waits for more players, in seconds. Default 5. */
  readonly fillSeconds?: number;
  /** The game modes that players may choose; each is matched separately. Default: `["default"]`. */
  readonly modes?: readonly string[];
  /** The regions that players may choose; each is matched separately. Default: `["default"]`. */
  readonly regions?: readonly string[];
  /**
   * The query of the app, internal or not, that returns a user's rating; called with `{ userId }`.
   */
  readonly rating?: string;
  /** The initial maximum difference between ratings. Default 100. */
  readonly ratingSpread?: number;
  /** How much that difference grows per second of waiting. Default 10. */
  readonly widenPerSecond?: number;
  /** The number of seconds after which a ticket expires. Default 60. */
  readonly timeoutSeconds?: number;
  /** How long players have to accept a match, in seconds; 0: no confirmation. Default 0. */
  readonly acceptSeconds?: number;
  /** Whether free seats in a running match are offered to other players. Default false. */
  readonly backfill?: boolean;
}

/** The settings of a shard; each has a default. */
export interface ShardSettings {
  /** Steps per second, up to 60; 0: only steps when there is something to do. Default 20. */
  readonly tickRate?: number;
  /**
   * The maximum number of views per second and connection; a client may request fewer. Default: one
   * per step.
   */
  readonly sendRate?: number;
  /** The maximum number of concurrent players. Default 64. */
  readonly maxPlayers?: number;
  /** The maximum number of inputs per second and connection, up to 120. Default 60. */
  readonly inputRate?: number;
  /** The number of seconds without a player after which it is saved and stopped. Default 90. */
  readonly idleSeconds?: number;
  /** How long a disconnected player stays in the shard, in seconds. Default 5. */
  readonly graceSeconds?: number;
  /** How often the state is saved, in seconds; 0: only when the shard stops. Default 10. */
  readonly saveSeconds?: number;
  /**
   * The version of the state's format: a state saved under another version is dropped. Default 1.
   */
  readonly version?: number;
  /** Whether there may be several instances, each named `NAME:KEY`. Default false. */
  readonly instances?: boolean;
  /** The maximum number of concurrent spectators. Default 0: spectators are not allowed. */
  readonly maxSpectators?: number;
  /**
   * Whether joining requires a join token, which the matchmaker or the admin creates. Default
   * false.
   */
  readonly inviteOnly?: boolean;
  /** Allows the matchmaker to start shards of this type; requires `instances`. */
  readonly match?: MatchRules;
  /**
   * Whether it runs on a separate thread, where it can't block anything else and can be restarted
   * separately. Default: as long as a core is free.
   */
  readonly isolate?: boolean;
  /** Whether its runs are recorded for replay. Default false. */
  readonly record?: boolean | RecordRules;
}

/** A shard as the server loads it. */
export interface ShardDefinition extends ShardSettings {
  readonly type: "shard";
  readonly input: Validator;
  init(step: ShardStep): unknown;
  tick?(state: unknown, step: ShardStep): void;
  onJoin?(state: unknown, player: ShardPlayer, step: ShardStep): void;
  onLeave?(state: unknown, player: ShardPlayer, step: ShardStep): void;
  onInput?(
    state: unknown,
    player: ShardPlayer,
    input: unknown,
    step: ShardInputStep<unknown>,
  ): void;
  onResult?(state: unknown, result: ShardResult, step: ShardStep): void;
  onTimer?(state: unknown, timer: ShardTimer, step: ShardStep): void;
  mayJoin?(player: ShardPlayer, state: unknown): boolean;
  view?(state: unknown): unknown;
  viewFor?(state: unknown, player: ShardPlayer): unknown;
  viewForSpectators?(state: unknown): unknown;
  readonly interest?: InterestDefinition;
  readonly history?: HistoryRules<unknown, unknown>;
}

/** The options of `shard`. The handlers modify the state in place; it is plain JSON data. */
export interface ShardOptions<
  State,
  V extends Validator,
  View,
  Field extends string = never,
  Past = unknown,
> extends ShardSettings {
  /** The validator of inputs; invalid inputs never reach `onInput`. */
  readonly input: V;
  /** Returns the state of a new shard. */
  init(step: ShardStep): State;
  /** Advances the state by one step, after all inputs received since the last one. */
  tick?(state: State, step: ShardStep): void;
  onJoin?(state: State, player: ShardPlayer, step: ShardStep): void;
  onLeave?(state: State, player: ShardPlayer, step: ShardStep): void;
  onInput?(state: State, player: ShardPlayer, input: Infer<V>, step: ShardInputStep<Past>): void;
  /** Receives the result of a call of `step.run`, `step.get` or `step.read`. */
  onResult?(state: State, result: ShardResult, step: ShardStep): void;
  /** Called for each due timer of `step.after`, before `tick`. */
  onTimer?(state: State, timer: ShardTimer, step: ShardStep): void;
  /** Whether a user may join now. Default: every signed-in user may. */
  mayJoin?(player: ShardPlayer, state: State): boolean;
  /** Returns what all players see. A shard has this or `viewFor`. */
  view?(state: State): View;
  /** Returns what one player sees, if players must not see the same. */
  viewFor?(state: State, player: ShardPlayer): View;
  /** Returns what spectators see, if players must not see the same. */
  viewForSpectators?(state: State): View;
  /** Restricts the view to nearby objects. Default: the whole view is sent. */
  readonly interest?: InterestRules<State, View, Field>;
  /** What `step.rewind()` can return, to evaluate an input against what its player saw. */
  readonly history?: HistoryRules<State, Past>;
}

/** A shard with its types. */
export interface TypedShard<Input, View> extends ShardDefinition {
  /** Never set at runtime; carries the types. */
  readonly __types?: { readonly input: Input; readonly view: View };
}

/** The maximum of each bounded setting. The minimum is 1, or 0 for those that may be 0. */
const BOUNDS = {
  tickRate: [0, 60],
  sendRate: [1, 60],
  maxPlayers: [1, 1000],
  maxSpectators: [0, 1000],
  inputRate: [1, 120],
  idleSeconds: [1, 86_400],
  graceSeconds: [0, 3600],
  saveSeconds: [0, 3600],
  version: [0, 1_000_000],
} as const;
const HANDLERS = [
  "tick",
  "onJoin",
  "onLeave",
  "onInput",
  "onResult",
  "onTimer",
  "mayJoin",
  "view",
  "viewFor",
  "viewForSpectators",
] as const;
const FLAGS = ["instances", "isolate", "inviteOnly"] as const;
const OPTIONS: ReadonlySet<string> = new Set([
  ...Object.keys(BOUNDS),
  ...HANDLERS,
  ...FLAGS,
  "match",
  "interest",
  "history",
  "record",
  "input",
  "init",
]);

/**
 * Defines a shard: a simulation in `shards/NAME.ts` that the server runs at a fixed tick rate, such
 * as a match or a shared board.
 *
 * @throws TypeError that names the invalid option; `pylon dev` shows it with the file
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
export function shard<
  State,
  V extends Validator,
  View,
  Field extends string = never,
  Past = unknown,
>(options: ShardOptions<State, V, View, Field, Past>): TypedShard<Infer<V>, View> {
  checkShard(Object(options));
  return { type: "shard", ...options };
}

function checkShard(options: Readonly<Record<string, unknown>>): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new TypeError(`A shard has no option "${unknown}": use ${[...OPTIONS].join(", ")}.`);
  if (!isValidator(options["input"]))
    throw new TypeError("input must be a validator, such as v.object({ dx: v.number() }).");
  if (typeof options["init"] !== "function")
    throw new TypeError("init must be a function that returns the state of a new shard.");
  for (const name of HANDLERS)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw new TypeError(`${name} must be a function.`);
  if ((options["view"] === undefined) === (options["viewFor"] === undefined))
    throw new TypeError("A shard must have either view or viewFor.");
  for (const [name, [least, most]] of Object.entries(BOUNDS))
    checkNumber(name, options[name], least, most);
  if (options["tickRate"] === 0 && options["sendRate"] !== undefined)
    throw new TypeError("sendRate requires a tickRate above 0.");
  checkInterest(options);
  checkHistory(options);
  checkRecord(options);
  checkSpectators(options);
  checkMatch(options);
  for (const name of FLAGS)
    if (options[name] !== undefined && typeof options[name] !== "boolean")
      throw new TypeError(`${name} must be true or false.`);
}

/** Information that players must not see of each other must not be shown to spectators either. */
function checkSpectators(options: Readonly<Record<string, unknown>>): void {
  const { maxSpectators = 0, viewFor, interest, viewForSpectators } = options;
  if (maxSpectators === 0 || viewForSpectators !== undefined) return;
  if (viewFor !== undefined || interest !== undefined)
    throw new TypeError(
      "A shard with viewFor or interest and spectators requires viewForSpectators.",
    );
}

const MATCH_BOUNDS = {
  minPlayers: [1, 1000],
  maxPlayers: [1, 1000],
  fillSeconds: [0, 600],
  ratingSpread: [0, 1_000_000],
  widenPerSecond: [0, 1_000_000],
  timeoutSeconds: [1, 3600],
  acceptSeconds: [0, 120],
} as const;
const MATCH_LISTS = ["modes", "regions"] as const;
const MATCH_OPTIONS: ReadonlySet<string> = new Set([
  ...Object.keys(MATCH_BOUNDS),
  ...MATCH_LISTS,
  "rating",
  "backfill",
]);
const MAX_QUEUES = 50;

function checkMatch(options: Readonly<Record<string, unknown>>): void {
  const { match, instances, maxPlayers: seats = 64 } = options;
  if (match === undefined) return;
  if (typeof match !== "object" || match === null || instances !== true)
    throw new TypeError("match must be an object of options, and requires instances: true.");
  const rules: Readonly<Record<string, unknown>> = { ...match };
  const unknown = Object.keys(rules).find((name) => !MATCH_OPTIONS.has(name));
  if (unknown !== undefined)
    throw new TypeError(`match has no option "${unknown}": use ${[...MATCH_OPTIONS].join(", ")}.`);
  if (rules["minPlayers"] === undefined) throw new TypeError("match.minPlayers is required.");
  for (const [name, [least, most]] of Object.entries(MATCH_BOUNDS))
    checkNumber(`match.${name}`, rules[name], least, most);
  const { minPlayers, maxPlayers = minPlayers, rating, backfill = false } = rules;
  if (Number(maxPlayers) < Number(minPlayers) || Number(maxPlayers) > Number(seats))
    throw new TypeError(
      "match.maxPlayers must be between match.minPlayers and the maxPlayers of the shard.",
    );
  for (const name of MATCH_LISTS) checkNames(name, rules[name]);
  if (rating !== undefined && typeof rating !== "string")
    throw new TypeError("match.rating must be the name of a query.");
  if (typeof backfill !== "boolean") throw new TypeError("match.backfill must be true or false.");
}

function checkNames(name: string, list: unknown): void {
  if (list === undefined) return;
  const isNames =
    Array.isArray(list) &&
    list.length > 0 &&
    list.length <= MAX_QUEUES &&
    list.every((one) => typeof one === "string" && /^[\w-]{1,64}$/.test(one));
  if (!isNames)
    throw new TypeError(`match.${name} must be a list of names of letters, digits, - and _.`);
}

function isValidator(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"
  );
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined) return;
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return;
  throw new TypeError(`${name} must be a whole number from ${least} to ${most}.`);
}
