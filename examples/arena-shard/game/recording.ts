import {
  enterShip,
  movePlayer,
  newRound,
  playStep,
  removeShip,
  zapShip,
  type Round,
} from "./round.ts";
import { BOTS, MAX_PLAYERS, MODES } from "./rules.ts";
import { MAX_AXIS, type Move } from "./ship.ts";

/** What a round was played from: its seed, and what the pilots did in each step. */
export interface Recording {
  readonly seed: number;
  /** A list for each step: who did what, each as one number. */
  readonly steps: readonly (readonly number[])[];
  /** Of the round as it ended, by which a repetition is compared. */
  readonly checksum: number;
}

/** What the player of a place did; with `zap` whom the beam hit, or the own place. */
export type Action = "enter" | "leave" | Move | { readonly zap: number };

const AXIS_VALUES = 2 * MAX_AXIS + 1;
const ENTER = AXIS_VALUES * AXIS_VALUES * 2;
const LEAVE = ENTER + 1;
const ZAP = LEAVE + 1;
const ACTIONS = ZAP + MAX_PLAYERS + BOTS;
const MAX_STEPS = MODES.classic.roundSteps;

export function encodeAction(place: number, action: Action): number {
  return place * ACTIONS + codeOf(action);
}

function codeOf(action: Action): number {
  if (action === "enter") return ENTER;
  if (action === "leave") return LEAVE;
  if ("zap" in action) return ZAP + action.zap;
  const direction = (action.x + MAX_AXIS) * AXIS_VALUES + action.y + MAX_AXIS;
  return direction * 2 + Number(action.dash);
}

export function decodeAction(code: number): { readonly place: number; readonly action: Action } {
  const place = Math.floor(code / ACTIONS);
  const rest = code % ACTIONS;
  if (rest === ENTER) return { place, action: "enter" };
  if (rest === LEAVE) return { place, action: "leave" };
  if (rest >= ZAP) return { place, action: { zap: rest - ZAP } };
  const direction = Math.floor(rest / 2);
  const x = Math.floor(direction / AXIS_VALUES) - MAX_AXIS;
  const y = (direction % AXIS_VALUES) - MAX_AXIS;
  return { place, action: { x, y, dash: rest % 2 === 1 } };
}

/** Does in a round what a player did. */
export function act(round: Round, place: number, action: Action): void {
  if (action === "enter") enterShip(round, place);
  else if (action === "leave") removeShip(round, place);
  else if ("zap" in action) zapShip(round, place, action.zap);
  else movePlayer(round, place, action);
}

/** Plays the next step of a recorded round. @returns whether there was one */
export function playRecorded(round: Round, { steps }: Recording): boolean {
  const codes = steps[round.step];
  if (codes === undefined) return false;
  for (const code of codes) {
    const { place, action } = decodeAction(code);
    act(round, place, action);
  }
  playStep(round);
  return true;
}

/** The round of a recording after so many steps. */
export function roundAt(recording: Recording, step: number): Round {
  const round = newRound(recording.seed);
  while (round.step < step && playRecorded(round, recording)) continue;
  return round;
}

/** A number that differs where two rounds differ. The algorithm is "FNV-1a". */
export function checksumOf(round: Round): number {
  let hash = 0x811c9dc5;
  for (const character of JSON.stringify(round))
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}

/** A recording with the names of those who played: what is kept, and downloaded. */
export interface NamedRecording extends Recording {
  readonly pilots: readonly { readonly place: number; readonly name: string }[];
}

/** Checks what came from a file or from the server. @throws Error when it is not a recording */
export function readRecording(value: unknown): NamedRecording {
  if (isRecording(value)) return value;
  throw new Error("This is not a recording of the arena.");
}

function isRecording(value: unknown): value is NamedRecording {
  if (typeof value !== "object" || value === null) return false;
  if (!("seed" in value && "steps" in value && "checksum" in value && "pilots" in value))
    return false;
  const { seed, steps, checksum, pilots } = value;
  return (
    Number.isSafeInteger(seed) &&
    Number.isSafeInteger(checksum) &&
    Array.isArray(steps) &&
    steps.length <= MAX_STEPS &&
    steps.every(isStep) &&
    Array.isArray(pilots) &&
    pilots.every(isPilot)
  );
}

function isStep(codes: unknown): boolean {
  return Array.isArray(codes) && codes.every((code) => isBelow(code, MAX_PLAYERS * ACTIONS));
}

function isPilot(pilot: unknown): boolean {
  if (typeof pilot !== "object" || pilot === null) return false;
  if (!("place" in pilot && "name" in pilot)) return false;
  return isBelow(pilot.place, MAX_PLAYERS) && typeof pilot.name === "string";
}

function isBelow(value: unknown, limit: number): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < limit;
}
