import type { ShardPlayer } from "./shard.ts";

/** A position on the map of a shard, in a unit that the app chooses. */
export interface ShardPosition {
  readonly x: number;
  readonly y: number;
}

/** The type of the objects in a field of a view that is a record of objects. */
export type ThingOf<View, Field extends string> = Field extends keyof View
  ? View[Field] extends Readonly<Record<string, infer Thing>>
    ? Thing
    : never
  : never;

/** How far a player sees, and how much of it the player is sent. */
export interface InterestSettings {
  /** The side length of a cell, in the unit of the positions. */
  readonly cellSize: number;
  /**
   * The number of cells in each direction that a player sees, up to 8; 0: only the player's own.
   * Default 1: nine cells.
   */
  readonly radiusCells?: number;
  /**
   * The maximum bytes of views per second and connection, from 1000. Updates beyond that are
   * delayed, the most important first, and none forever. Default: no limit.
   */
  readonly bytesPerSecond?: number;
}

/**
 * Area of interest: a player is sent nearby objects, as many as the byte limit allows. The map is a
 * grid of square cells.
 */
export interface InterestRules<State, View, Field extends string> extends InterestSettings {
  /** The fields of the view that are records of objects by id: only nearby objects are sent. */
  readonly fields: readonly Field[];
  /** Returns the position from which a player sees; null: the player sees no objects. */
  center(state: State, player: ShardPlayer): ShardPosition | null;
  /** Returns the position of an object. Default: its `x` and `y`. */
  position?(thing: ThingOf<View, Field>, id: string): ShardPosition;
  /**
   * Returns the importance of an object to a player: if not everything fits, an object of 2 is sent
   * twice as often as one of 1. Default 1.
   */
  priority?(thing: ThingOf<View, Field>, id: string, player: ShardPlayer): number;
}

/** The options as the server loads them. */
export interface InterestDefinition extends InterestSettings {
  readonly fields: readonly string[];
  center(state: unknown, player: ShardPlayer): ShardPosition | null;
  position?(thing: unknown, id: string): ShardPosition;
  priority?(thing: unknown, id: string, player: ShardPlayer): number;
}

const OPTIONS: ReadonlySet<string> = new Set([
  "fields",
  "cellSize",
  "radiusCells",
  "bytesPerSecond",
  "center",
  "position",
  "priority",
]);
const MAX_FIELDS = 16;
const MAX_RADIUS_CELLS = 8;
/** Lower limits could not carry the smallest views. */
const MIN_BYTES_PER_SECOND = 1000;

/** @throws TypeError that names the invalid option of `interest` */
export function checkInterest(options: Readonly<Record<string, unknown>>): void {
  const { interest, view } = options;
  if (interest === undefined) return;
  if (typeof interest !== "object" || interest === null || view === undefined)
    throw new TypeError("interest must be an object of options, and requires view.");
  const rules: Readonly<Record<string, unknown>> = { ...interest };
  const unknown = Object.keys(rules).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new TypeError(`interest has no option "${unknown}": use ${[...OPTIONS].join(", ")}.`);
  const { fields, cellSize, radiusCells = 1, bytesPerSecond = Infinity } = rules;
  if (!isNames(fields))
    throw new TypeError(`interest.fields must be a list of 1 to ${MAX_FIELDS} fields of the view.`);
  if (typeof cellSize !== "number" || !Number.isFinite(cellSize) || cellSize <= 0)
    throw new TypeError("interest.cellSize must be a number above 0.");
  if (!isWithin(radiusCells, 0, MAX_RADIUS_CELLS))
    throw new TypeError(
      `interest.radiusCells must be a whole number from 0 to ${MAX_RADIUS_CELLS}.`,
    );
  if (typeof bytesPerSecond !== "number" || !(bytesPerSecond >= MIN_BYTES_PER_SECOND))
    throw new TypeError(`interest.bytesPerSecond must be at least ${MIN_BYTES_PER_SECOND}.`);
  if (typeof rules["center"] !== "function")
    throw new TypeError("interest.center must be a function that returns a player's position.");
  for (const name of ["position", "priority"] as const)
    if (rules[name] !== undefined && typeof rules[name] !== "function")
      throw new TypeError(`interest.${name} must be a function.`);
}

function isNames(fields: unknown): boolean {
  return (
    Array.isArray(fields) &&
    fields.length > 0 &&
    fields.length <= MAX_FIELDS &&
    fields.every((field) => typeof field === "string") &&
    new Set(fields).size === fields.length
  );
}

function isWithin(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}
