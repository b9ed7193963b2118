import { nextInt, nextRandom } from "./random.ts";
import type { Round } from "./round.ts";
import { GEMS } from "./rules.ts";
import { MAX_AXIS, NO_MOVE, type Move, type Ship } from "./ship.ts";
import { whole } from "./whole.ts";

/** The current goal of a bot. */
export interface Bot {
  /** The target gem, by its index in the list. */
  gem: number;
  /** The number of steps until the next choice of a target. */
  steps: number;
}

/** The number of random gems from which a bot chooses the nearest. */
const GEMS_IN_SIGHT = 8;
const MIN_STEPS = 10;
const MAX_STEPS = 40;
/** The probability per step that a bot dashes on its way to a gem. */
const DASH_CHANCE = 0.01;

/** The move of a bot in this step. */
export function botMove(round: Round, bot: Bot, ship: Readonly<Ship>): Move {
  bot.steps -= 1;
  if (bot.steps <= 0) choose(round, bot, ship);
  const gem = round.gems[bot.gem];
  if (gem === undefined) return NO_MOVE;
  return { ...towards(ship, gem), dash: nextRandom(round.random) < DASH_CHANCE };
}

function choose(round: Round, bot: Bot, ship: Readonly<Ship>): void {
  let nearest = Infinity;
  for (let look = 0; look < GEMS_IN_SIGHT; look += 1) {
    const at = nextInt(round.random, 0, GEMS - 1);
    const gem = round.gems[at];
    if (gem === undefined) continue;
    const distance = (gem.x - ship.x) ** 2 + (gem.y - ship.y) ** 2;
    if (distance >= nearest) continue;
    nearest = distance;
    bot.gem = at;
  }
  bot.steps = nextInt(round.random, MIN_STEPS, MAX_STEPS);
}

function towards(ship: Readonly<Ship>, { x, y }: { readonly x: number; readonly y: number }) {
  const [dx, dy] = [x - ship.x, y - ship.y];
  const scale = MAX_AXIS / Math.max(1, Math.abs(dx), Math.abs(dy));
  return { x: whole(dx * scale), y: whole(dy * scale) };
}
