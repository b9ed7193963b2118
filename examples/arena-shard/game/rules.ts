// Lengths are whole numbers, ten to a pixel, and times are steps. Whole numbers are the same in
// every browser and on the server, and short on the wire.

/** Steps a second. */
export const TICK_RATE = 20;
/** The arena is a square from 0 to this. */
export const ARENA_SIZE = 24_000;
export const SHIP_RADIUS = 170;
export const GEM_RADIUS = 80;

/** Places for players; the ships after them are flown by the server. */
export const MAX_PLAYERS = 16;
export const BOTS = 60;
export const GEMS = 90;

/** What a step of thrust adds to the speed, and what is left of the speed after a step. */
export const THRUST = 34;
export const DRAG = 0.86;
/** A dash adds this at once, lasts so long, and is possible again after so long. */
export const DASH_SPEED = 620;
export const DASH_STEPS = 7;
export const DASH_EVERY = 44;
/** Who is hit by a dash can't steer for so long, and loses up to so many gems. */
export const STUN_STEPS = 12;
export const MAX_STOLEN = 4;
/** A beam reaches so far, hits a ship so near to its end, and is possible after so long. */
export const ZAP_REACH = 4200;
export const ZAP_RADIUS = 2 * SHIP_RADIUS;
export const ZAP_EVERY = 30;
/** So long it is seen. */
export const ZAP_SHOWN_STEPS = 7;
/** So far back counts what a pilot saw, in ms: enough for what the sliders of the page can do. */
export const MAX_REWIND_MS = 1000;
/** What is left of the speed after a wall. */
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

/** How long a round and the pause after it are, in steps. */
export const MODES = {
  classic: { roundSteps: 60 * TICK_RATE, pauseSteps: 6 * TICK_RATE },
  sprint: { roundSteps: 10 * TICK_RATE, pauseSteps: 3 * TICK_RATE },
} as const;
export type Mode = keyof typeof MODES;

/** `arena:sprint` has short rounds; the other instances play the classic ones. */
export function modeOf(shardId: string): Mode {
  return shardId === "arena:sprint" ? "sprint" : "classic";
}
