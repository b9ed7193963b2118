import { whole } from "./whole.ts";
import {
  ARENA_SIZE,
  BOUNCE,
  DASH_EVERY,
  DASH_SPEED,
  DASH_STEPS,
  DRAG,
  PILLARS,
  SHIP_RADIUS,
  THRUST,
} from "./rules.ts";

export interface Ship {
  x: number;
  y: number;
  /** The speed, in lengths per step. */
  vx: number;
  vy: number;
  gems: number;
  /** The number of steps until it can dash again. */
  wait: number;
  /** The number of steps for which it cannot steer. */
  stun: number;
  /** The number of steps until it can fire again. */
  charge: number;
}

/** A pilot's input for one step: the direction of the thrust, and whether to dash. */
export interface Move {
  /** From -MAX_AXIS to MAX_AXIS. */
  readonly x: number;
  readonly y: number;
  readonly dash: boolean;
}

/** The maximum of a move's x and y, which determines how precisely it can point. */
export const MAX_AXIS = 3;
export const NO_MOVE: Move = { x: 0, y: 0, dash: false };

export function isDashing(ship: Readonly<Ship>): boolean {
  return ship.wait > DASH_EVERY - DASH_STEPS;
}

/**
 * Moves a ship by one step. The server uses it to move ships, and a client to predict its own. So
 * it does not depend on other ships, and uses no operations that differ between machines: sums,
 * products and square roots are the same everywhere, sines are not.
 */
export function moveShip(ship: Readonly<Ship>, move: Move): Ship {
  const { x, y, dash } = ship.stun > 0 ? NO_MOVE : move;
  const isDash = dash && ship.wait === 0 && (x !== 0 || y !== 0);
  const length = Math.sqrt(x * x + y * y);
  const push = length === 0 ? 0 : (isDash ? DASH_SPEED : THRUST) / length;
  const moved = {
    ...ship,
    vx: whole((ship.vx + x * push) * DRAG),
    vy: whole((ship.vy + y * push) * DRAG),
    wait: isDash ? DASH_EVERY : Math.max(0, ship.wait - 1),
    stun: Math.max(0, ship.stun - 1),
    charge: Math.max(0, ship.charge - 1),
  };
  moved.x += moved.vx;
  moved.y += moved.vy;
  for (const pillar of PILLARS) leavePillar(moved, pillar);
  stayInside(moved);
  return moved;
}

function stayInside(ship: Ship): void {
  const most = ARENA_SIZE - SHIP_RADIUS;
  if (ship.x < SHIP_RADIUS || ship.x > most) ship.vx = whole(-ship.vx * BOUNCE);
  if (ship.y < SHIP_RADIUS || ship.y > most) ship.vy = whole(-ship.vy * BOUNCE);
  ship.x = Math.min(most, Math.max(SHIP_RADIUS, ship.x));
  ship.y = Math.min(most, Math.max(SHIP_RADIUS, ship.y));
}

/** Moves a ship that is inside a pillar to its edge, and lets it bounce off. */
function leavePillar(ship: Ship, pillar: (typeof PILLARS)[number]): void {
  const [dx, dy] = [ship.x - pillar.x, ship.y - pillar.y];
  const least = pillar.radius + SHIP_RADIUS;
  if (dx * dx + dy * dy >= least * least) return;
  const distance = Math.sqrt(dx * dx + dy * dy);
  const [nx, ny] = distance === 0 ? [1, 0] : [dx / distance, dy / distance];
  const into = Math.min(0, ship.vx * nx + ship.vy * ny);
  ship.x = whole(pillar.x + nx * least);
  ship.y = whole(pillar.y + ny * least);
  ship.vx = whole(ship.vx - (1 + BOUNCE) * into * nx);
  ship.vy = whole(ship.vy - (1 + BOUNCE) * into * ny);
}
