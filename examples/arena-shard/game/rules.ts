// Lengths are integers, ten per pixel, and times are steps. Integers are the same in every browser
// and on the server, and short on the wire.

/** Steps per second. */
export const TICK_RATE = 20;
/** The arena is a square from 0 to this. */
export const ARENA_SIZE = 24_000;
export const SHIP_RADIUS = 170;
export const GEM_RADIUS = 80;

/** The number of places for players; the server flies the ships after them. */
export const MAX_PLAYERS = 16;
export const BOTS = 60;
export const GEMS = 90;

/** The speed that a step of thrust adds, and the share of the speed that remains after a step. */
export const THRUST = 34;
export const DRAG = 0.86;
/** The speed that a dash adds immediately, its duration, and the interval between dashes. */
export const DASH_SPEED = 620;
export const DASH_STEPS = 7;
export const DASH_EVERY = 44;
/** The duration of the stun after a dash's hit, and the maximum number of gems lost. */
export const STUN_STEPS = 12;
export const MAX_STOLEN = 4;
/** The range of a beam, the radius of a hit around its end, and the interval between beams. */
export const ZAP_REACH = 4200;
export const ZAP_RADIUS = 2 * SHIP_RADIUS;
export const ZAP_EVERY = 30;
/** The time for which a beam is visible. */
export const ZAP_SHOWN_STEPS = 7;
/** The maximum age of what a pilot saw, in ms: enough for the maximum of the page's sliders. */
export const MAX_REWIND_MS = 1000;
/** The share of the speed that remains after hitting a wall. */
export const BOUNCE = 0.6;

/** Round obstacles. */
export const PILLARS = [
  { x: 12_000, y: 12_000, radius: 1500 },
  { x: 5600, y: 5600, radius: 900 },
  { x: 18_400, y: 5600, radius: 900 },
  { x: 5600, y: 18_400, radius: 900 },
  { x: 18_400, y: 18_400, radius: 900 },
  { x: 12_000, y: 4200, radius: 560 },
  { x: 12_000, y: 19_800, radius: 560 },
  { x: 4200, y: 12_000, radius: 560 },
  { x: 19_800, y: 12_000, radius: 560 },
] as const;

/** The lengths of a round and of the pause after it, in steps. */
export const MODES = {
  classic: { roundSteps: 60 * TICK_RATE, pauseSteps: 6 * TICK_RATE },
  sprint: { roundSteps: 10 * TICK_RATE, pauseSteps: 3 * TICK_RATE },
} as const;
export type Mode = keyof typeof MODES;

/** `arena:sprint` has short rounds; all other instances play classic ones. */
export function modeOf(shardId: string): Mode {
  return shardId === "arena:sprint" ? "sprint" : "classic";
}
