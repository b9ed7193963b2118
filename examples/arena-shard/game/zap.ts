import type { PastMoment } from "@pylonsync/functions";
import { perform, type Match } from "./match.ts";
import { ZAP_RADIUS, ZAP_REACH } from "./rules.ts";
import { whole } from "./whole.ts";

/** A position in the arena, in integers. */
export interface Aim {
  readonly x: number;
  readonly y: number;
}

/** The positions of all ships, as stored in the shard's history. */
export interface Positions {
  /** The seed of the round: positions of another round are ignored. */
  readonly seed: number;
  readonly places: readonly (Aim | null)[];
}

/** A beam, which players see for a moment. */
export interface Zap {
  /** The step of the round. */
  readonly step: number;
  readonly place: number;
  /** The end of the beam. */
  readonly x: number;
  readonly y: number;
  /** The place of the ship that was hit; null for none. */
  readonly target: number | null;
  /** Whether that ship has moved away since: it was hit only where its pilot saw it. */
  readonly isRewound: boolean;
}

export function positionsOf({ seed, round }: Match): Positions {
  return { seed, places: round.ships.map((ship) => ship && { x: ship.x, y: ship.y }) };
}

/**
 * Fires a beam at what the pilot saw: a ship is hit where it was at that moment, however late the
 * input arrives.
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
    // The ship must still exist.
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
