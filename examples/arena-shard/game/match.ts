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

/** What the shard is: one round after another, and who plays. Plain JSON data. */
export interface Match {
  readonly mode: Mode;
  seed: number;
  round: Round;
  /** Who has which place. */
  readonly pilots: (Pilot | null)[];
  /** Beams of the last steps. */
  zaps: Zap[];
  /** Steps of the pause that are left; 0 while a round is played. */
  pause: number;
}

export interface Pilot {
  readonly userId: string;
  /** Moves that it may make now. */
  moves: number;
}

/** What players see. */
export interface ArenaView {
  readonly seed: number;
  /** Steps until the round ends. */
  readonly left: number;
  /** Steps until the next round begins; 0 while one is played. */
  readonly pause: number;
  /** The user of each place. */
  readonly pilots: readonly (string | null)[];
  readonly ships: readonly (Readonly<Ship> | null)[];
  readonly gems: readonly { readonly x: number; readonly y: number }[];
  /** Beams that are seen now. */
  readonly zaps: readonly Zap[];
}

/** How a round ended, for the database. */
export interface RoundResult {
  readonly mode: Mode;
  readonly seed: number;
  readonly scores: readonly {
    readonly userId: string;
    readonly gems: number;
  }[];
}

/** A pilot whose moves came late may make up for so many. */
export const MAX_SAVED_MOVES = 12;

export function newMatch(mode: Mode, seed: number): Match {
  const pilots = Array.from({ length: MAX_PLAYERS }, () => null);
  return { mode, seed, round: newRound(seed), pilots, zaps: [], pause: 0 };
}

/** The place of a user; -1: none. */
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

/** What the player of a place does; with `zap` the ship that the beam hits, or its own place. */
export type Action = "enter" | "leave" | Move | { readonly zap: number };

/** Performs an action in the round. In the pause the round is over, and does not change. */
export function perform({ pause, round }: Match, place: number, action: Action): void {
  if (pause > 0) return;
  if (action === "enter") enterShip(round, place);
  else if (action === "leave") removeShip(round, place);
  else if ("zap" in action) zapShip(round, place, action.zap);
  else movePlayer(round, place, action);
}

/** Plays a step. @returns the result when a round has ended by it */
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

/** A seed for a round from the randomness of the shard. */
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

/** What all players see. */
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
