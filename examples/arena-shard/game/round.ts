import { botMove, type Bot } from "./bots.ts";
import { nextInt, type RandomState } from "./random.ts";
import {
  ARENA_SIZE,
  BOTS,
  GEM_RADIUS,
  GEMS,
  MAX_PLAYERS,
  MAX_STOLEN,
  PILLARS,
  SHIP_RADIUS,
  STUN_STEPS,
  ZAP_EVERY,
} from "./rules.ts";
import { isDashing, moveShip, type Move, type Ship } from "./ship.ts";
import { whole } from "./whole.ts";

export interface Gem {
  x: number;
  y: number;
}

/**
 * A round of the game: plain data that is determined by its seed and the pilots' actions. The
 * server plays it, and a browser replays it from a recording.
 */
export interface Round {
  /** The number of steps played so far. */
  step: number;
  readonly random: RandomState;
  /** The players' ships by place, null for a free place; then the bots. */
  readonly ships: (Ship | null)[];
  readonly gems: Gem[];
  readonly bots: Bot[];
}

export function newRound(seed: number): Round {
  const random = { seed };
  return {
    step: 0,
    random,
    ships: [
      ...Array.from({ length: MAX_PLAYERS }, () => null),
      ...Array.from({ length: BOTS }, () => newShip(random)),
    ],
    gems: Array.from({ length: GEMS }, () => freePlace(random, GEM_RADIUS)),
    bots: Array.from({ length: BOTS }, () => ({ gem: 0, steps: 0 })),
  };
}

/** Creates the ship of a place. */
export function enterShip(round: Round, place: number): void {
  round.ships[place] = newShip(round.random);
}

/** Removes the ship of a place. */
export function removeShip(round: Round, place: number): void {
  round.ships[place] = null;
}

/** Moves the ship of a player by one separate step. */
export function movePlayer(round: Round, place: number, move: Move): void {
  const ship = round.ships[place] ?? null;
  if (ship !== null) round.ships[place] = moveShip(ship, move);
}

/**
 * Fires the beam of a ship. @param target the place of the ship that is hit; the own place for none
 */
export function zapShip(round: Round, place: number, target: number): void {
  const [ship, victim] = [round.ships[place] ?? null, round.ships[target] ?? null];
  if (ship === null) return;
  ship.charge = ZAP_EVERY;
  if (target !== place && victim !== null) steal(ship, victim);
}

/** Plays one step, after the players have moved. */
export function playStep(round: Round): void {
  round.step += 1;
  for (const [index, bot] of round.bots.entries()) {
    const ship = round.ships[MAX_PLAYERS + index] ?? null;
    if (ship !== null) movePlayer(round, MAX_PLAYERS + index, botMove(round, bot, ship));
  }
  const ships = round.ships.filter((ship) => ship !== null);
  for (const [index, ship] of ships.entries()) {
    for (const other of ships.slice(index + 1)) bump(ship, other);
    for (const gem of round.gems) collect(round, ship, gem);
  }
}

function newShip(random: RandomState): Ship {
  return { ...freePlace(random, SHIP_RADIUS), vx: 0, vy: 0, gems: 0, wait: 0, stun: 0, charge: 0 };
}

/** A random position outside of all pillars. */
function freePlace(random: RandomState, radius: number): Gem {
  for (;;) {
    const x = nextInt(random, radius, ARENA_SIZE - radius);
    const y = nextInt(random, radius, ARENA_SIZE - radius);
    const isFree = PILLARS.every((pillar) => !isNear({ x, y }, pillar, pillar.radius + 2 * radius));
    if (isFree) return { x, y };
  }
}

function collect(round: Round, ship: Ship, gem: Gem): void {
  if (!isNear(ship, gem, SHIP_RADIUS + GEM_RADIUS)) return;
  ship.gems += 1;
  Object.assign(gem, freePlace(round.random, GEM_RADIUS));
}

/** Two touching ships bounce off; one that dashes stuns the other and takes gems from it. */
function bump(one: Ship, other: Ship): void {
  const reach = 2 * SHIP_RADIUS;
  if (!isNear(one, other, reach)) return;
  const [dx, dy] = [other.x - one.x, other.y - one.y];
  const distance = Math.max(1, Math.sqrt(dx * dx + dy * dy));
  const [nx, ny] = [dx / distance, dy / distance];
  const gap = (reach - distance) / 2;
  const closing = (one.vx - other.vx) * nx + (one.vy - other.vy) * ny;
  push(one, -nx, -ny, gap, Math.max(0, closing));
  push(other, nx, ny, gap, Math.max(0, closing));
  const [isHit, hits] = [isDashing(other), isDashing(one)];
  if (hits && !isHit) steal(one, other);
  if (isHit && !hits) steal(other, one);
}

function push(ship: Ship, nx: number, ny: number, gap: number, speed: number): void {
  ship.x = whole(ship.x + nx * gap);
  ship.y = whole(ship.y + ny * gap);
  ship.vx = whole(ship.vx + nx * speed);
  ship.vy = whole(ship.vy + ny * speed);
}

function steal(thief: Ship, victim: Ship): void {
  if (victim.stun > 0) return;
  victim.stun = STUN_STEPS;
  const stolen = Math.min(MAX_STOLEN, victim.gems);
  victim.gems -= stolen;
  thief.gems += stolen;
}

function isNear(one: Readonly<Gem>, other: Readonly<Gem>, reach: number): boolean {
  const [dx, dy] = [one.x - other.x, one.y - other.y];
  return dx * dx + dy * dy < reach * reach;
}
