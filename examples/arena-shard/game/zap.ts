import type { PastMoment } from "@pylonsync/functions";
import { perform, type Match } from "./match.ts";
import { ZAP_RADIUS, ZAP_REACH } from "./rules.ts";
import { whole } from "./whole.ts";

/** A place of the arena, in whole numbers. */
export interface Aim {
  readonly x: number;
  readonly y: number;
}

/** Where all ships were, as the shard remembers it. */
export interface Positions {
  /** Of the round: places of another one are of no use. */
  readonly seed: number;
  readonly places: readonly (Aim | null)[];
}

/** A beam, as players are shown it for a moment. */
export interface Zap {
  /** Of the round. */
  readonly step: number;
  readonly place: number;
  /** Where the beam ends. */
  readonly x: number;
  readonly y: number;
  /** Whose ship was hit; null: nobody's. */
  readonly target: number | null;
  /** Whether that ship is no longer there: only what its player saw makes it a hit. */
  readonly isRewound: boolean;
}

export function positionsOf({ seed, round }: Match): Positions {
  return { seed, places: round.ships.map((ship) => ship && { x: ship.x, y: ship.y }) };
}

/**
 * Fires a beam at what the pilot saw: a ship is hit where it was in that moment, however late the
 * pilot's word comes in.
 */
export function zap(match: Match, place: number, aim: Aim, seen: PastMoment<Positions>): void {
  const own = match.round.ships[place] ?? null;
  if (match.pause > 0 || own === null || own.charge > 0 || own.stun > 0) return;
  if (distance(own, aim) > ZAP_REACH) return;
  const target = targetAt(match, place, aim, seen);
  perform(match, place, { zap: target ?? place });
  const now = target === null ? null : (match.round.ships[target] ?? null);
  match.zaps.push({
    step: match.round.step,
    place,
    x: aim.x,
    y: aim.y,
    target,
    isRewound: now !== null && distance(now, aim) > ZAP_RADIUS,
  });
}

function targetAt(
  match: Match,
  place: number,
  aim: Aim,
  { from, to, share }: PastMoment<Positions>,
): number | null {
  if (from.seed !== match.seed || to.seed !== match.seed) return null;
  let best: number | null = null;
  let nearest = ZAP_RADIUS;
  for (const [other, before] of from.places.entries()) {
    const after = to.places[other] ?? null;
    // A ship has to be there still.
    const isThere = other !== place && (match.round.ships[other] ?? null) !== null;
    if (!isThere || before === null || after === null) continue;
    const x = whole(before.x + (after.x - before.x) * share);
    const y = whole(before.y + (after.y - before.y) * share);
    const off = distance({ x, y }, aim);
    if (off > nearest) continue;
    nearest = off;
    best = other;
  }
  return best;
}

function distance(one: Aim, other: Aim): number {
  const [dx, dy] = [one.x - other.x, one.y - other.y];
  return Math.sqrt(dx * dx + dy * dy);
}
