import { ARENA_SIZE } from "../game/rules.ts";

/** How much of the arena is seen, at least in one direction. */
const SEEN = 12_000;
/** In so long the camera goes about two thirds of the way to where it should be. */
const FOLLOW_MS = 170;
/** So much beyond the edge may be seen, for the panels there, in pixels. */
const BEYOND_PX = { x: 260, y: 100 };
/** It looks ahead by the way of so many steps. */
const AHEAD_STEPS = 7;

interface Target {
  readonly x: number;
  readonly y: number;
  readonly vx: number;
  readonly vy: number;
}

/** Where on the screen the arena is. */
export interface Lens {
  /** The place of the arena in the middle of the screen. */
  readonly x: number;
  readonly y: number;
  /** Pixels for a length of 1. */
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

  /** Begins at the next ship again. */
  reset(): void {
    this.#at = null;
  }
}

/** The middle of what is seen, so that there is little to see beyond the edge. */
function inside(wanted: number, marginPx: number, scale: number): number {
  const least = Math.min(ARENA_SIZE / 2, Math.max(0, marginPx) / scale);
  return Math.min(ARENA_SIZE - least, Math.max(least, wanted));
}
