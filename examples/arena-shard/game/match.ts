import {
  enterShip,
  movePlayer,
  newRound,
  playStep,
  removeShip,
  zapShip,
  type Round,
} from "./round.ts";
import { MAX_PLAYERS, MODES, ZAP_SHOWN_STEPS, type Mode } from "./rules.ts";
import type { Move, Ship } from "./ship.ts";
import type { Zap } from "./zap.ts";

/** The state of the shard: one round after another, and the players. Plain JSON data. */
export interface Match {
  readonly mode: Mode;
  seed: number;
  round: Round;
  /** The player of each place. */
  readonly pilots: (Pilot | null)[];
  /** The beams of the last steps. */
  zaps: Zap[];
  /** The number of remaining steps of the pause; 0 during a round. */
  pause: number;
}

export interface Pilot {
  readonly userId: string;
  /** The number of moves that the pilot may make now. */
  moves: number;
}

/** The view that players receive. */
export interface ArenaView {
  readonly seed: number;
  /** The number of steps until the round ends. */
  readonly left: number;
  /** The number of steps until the next round begins; 0 during a round. */
  readonly pause: number;
  /** The user of each place. */
  readonly pilots: readonly (string | null)[];
  readonly ships: readonly (Readonly<Ship> | null)[];
  readonly gems: readonly { readonly x: number; readonly y: number }[];
  /** The beams that are currently visible. */
  readonly zaps: readonly Zap[];
}

/** The result of a round, for the database. */
export interface RoundResult {
  readonly mode: Mode;
  readonly seed: number;
  readonly scores: readonly {
    readonly userId: string;
    readonly gems: number;
  }[];
}

/** The number of late moves that a pilot may catch up on. */
export const MAX_SAVED_MOVES = 12;

export function newMatch(mode: Mode, seed: number): Match {
  const pilots = Array.from({ length: MAX_PLAYERS }, () => null);
  return { mode, seed, round: newRound(seed), pilots, zaps: [], pause: 0 };
}

/** The place of a user; -1 if there is none. */
export function placeOf(match: Match, userId: string): number {
  return match.pilots.findIndex((pilot) => pilot?.userId === userId);
}

/** Gives a user a place and a ship. */
export function enter(match: Match, userId: string): void {
  const place = match.pilots.indexOf(null);
  if (place === -1 || placeOf(match, userId) !== -1) return;
  match.pilots[place] = { userId, moves: MAX_SAVED_MOVES };
  perform(match, place, "enter");
}

export function leave(match: Match, userId: string): void {
  const place = placeOf(match, userId);
  if (place === -1) return;
  match.pilots[place] = null;
  perform(match, place, "leave");
}

/**
 * An action of the player at a place; `zap` is the place of the ship that the beam hits, or the own
 * place.
 */
export type Action = "enter" | "leave" | Move | { readonly zap: number };

/** Performs an action in the round. During the pause the round is over and does not change. */
export function perform({ pause, round }: Match, place: number, action: Action): void {
  if (pause > 0) return;
  if (action === "enter") enterShip(round, place);
  else if (action === "leave") removeShip(round, place);
  else if ("zap" in action) zapShip(round, place, action.zap);
  else movePlayer(round, place, action);
}

/** Plays a step. @returns the result if the round has ended with it */
export function advance(match: Match, random: () => number): RoundResult | null {
  for (const pilot of match.pilots)
    if (pilot !== null) pilot.moves = Math.min(MAX_SAVED_MOVES, pilot.moves + 1);
  if (match.pause > 0) {
    match.pause -= 1;
    if (match.pause === 0) beginRound(match, random);
    return null;
  }
  playStep(match.round);
  match.zaps = match.zaps.filter(({ step }) => match.round.step - step < ZAP_SHOWN_STEPS);
  const { roundSteps, pauseSteps } = MODES[match.mode];
  if (match.round.step < roundSteps) return null;
  match.pause = pauseSteps;
  return resultOf(match);
}

function beginRound(match: Match, random: () => number): void {
  match.seed = seedFrom(random);
  match.round = newRound(match.seed);
  match.zaps = [];
  for (const [place, pilot] of match.pilots.entries())
    if (pilot !== null) perform(match, place, "enter");
}

/** A seed for a round from the shard's random numbers. */
export function seedFrom(random: () => number): number {
  return Math.floor(random() * 2 ** 31);
}

function resultOf({ mode, seed, round, pilots }: Match): RoundResult {
  const scores = pilots.flatMap((pilot, place) => {
    const ship = round.ships[place] ?? null;
    return pilot === null || ship === null ? [] : [{ userId: pilot.userId, gems: ship.gems }];
  });
  return { mode, seed, scores };
}

/** The view that all players receive. */
export function viewOf({ mode, seed, round, pilots, pause, zaps }: Match): ArenaView {
  return {
    seed,
    left: MODES[mode].roundSteps - round.step,
    pause,
    pilots: pilots.map((pilot) => pilot?.userId ?? null),
    ships: round.ships,
    gems: round.gems,
    zaps,
  };
}
