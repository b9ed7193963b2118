import { ARENA_SIZE } from "../game/rules.ts";

/** The part of the arena that is visible, at least in one direction. */
const SEEN = 12_000;
/** The time in which the camera covers about two thirds of the distance to its target. */
const FOLLOW_MS = 170;
/** The area beyond the edge that may be visible, for the panels there, in pixels. */
const BEYOND_PX = { x: 260, y: 100 };
/** The number of steps by which the camera looks ahead. */
const AHEAD_STEPS = 7;

interface Target {
  readonly x: number;
  readonly y: number;
  readonly vx: number;
  readonly vy: number;
}

/** The position of the arena on the screen. */
export interface Lens {
  /** The point of the arena in the middle of the screen. */
  readonly x: number;
  readonly y: number;
  /** The number of pixels for a length of 1. */
  readonly scale: number;
}

/** The whole arena. */
export function wholeArena(width: number, height: number): Lens {
  const middle = ARENA_SIZE / 2;
  return { x: middle, y: middle, scale: Math.min(width, height) / (ARENA_SIZE * 1.06) };
}

/** Follows a ship, smoothly. */
export class Camera {
  #at: { readonly x: number; readonly y: number } | null = null;

  follow(target: Target | null, elapsedMs: number, width: number, height: number): Lens {
    if (target === null) return wholeArena(width, height);
    const scale = Math.max(width / (SEEN * 1.6), height / SEEN);
    const wanted = {
      x: inside(target.x + target.vx * AHEAD_STEPS, width / 2 - BEYOND_PX.x, scale),
      y: inside(target.y + target.vy * AHEAD_STEPS, height / 2 - BEYOND_PX.y, scale),
    };
    const share = 1 - Math.exp(-elapsedMs / FOLLOW_MS);
    const { x, y } = this.#at ?? wanted;
    this.#at = { x: x + (wanted.x - x) * share, y: y + (wanted.y - y) * share };
    return { ...this.#at, scale };
  }

  /** Starts at the next ship without a transition. */
  reset(): void {
    this.#at = null;
  }
}

/** Limits the middle of the view, so that little beyond the edge is visible. */
function inside(wanted: number, marginPx: number, scale: number): number {
  const least = Math.min(ARENA_SIZE / 2, Math.max(0, marginPx) / scale);
  return Math.min(ARENA_SIZE - least, Math.max(least, wanted));
}
