import type { Moment } from "@pylonsync/sync/shards";
import type { ArenaView } from "../game/match.ts";
import type { Ship } from "../game/ship.ts";

/** A ship to draw, and its place. */
export interface SceneShip extends Readonly<Ship> {
  readonly place: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** The contents of one frame of the arena. */
export interface Scene {
  readonly ships: readonly SceneShip[];
  readonly gems: readonly Point[];
}

/** The part of a round that is drawn: from the server, or from a replay in the browser. */
export type RoundView = Pick<ArenaView, "seed" | "ships" | "gems">;

/** The visible part of a scene. @param reach the distance from the middle, across and down */
export function visible(scene: Scene, middle: Point, reach: Point): Scene {
  const isSeen = ({ x, y }: Point): boolean =>
    Math.abs(x - middle.x) < reach.x && Math.abs(y - middle.y) < reach.y;
  return { ships: scene.ships.filter(isSeen), gems: scene.gems.filter(isSeen) };
}

/** The scene of one view. */
export function sceneOf({ ships, gems }: RoundView): Scene {
  return {
    ships: ships.flatMap((ship, place) => (ship === null ? [] : [{ ...ship, place }])),
    gems,
  };
}

/** The scene between two views, with interpolated ships. */
export function sceneBetween({ from, to, share }: Omit<Moment<RoundView>, "tick">): Scene {
  if (from.seed !== to.seed) return sceneOf(share < 1 ? from : to);
  const ships = to.ships.flatMap((ship, place) => {
    const before = from.ships[place] ?? null;
    if (ship === null) return [];
    if (before === null) return [{ ...ship, place }];
    const x = before.x + (ship.x - before.x) * share;
    const y = before.y + (ship.y - before.y) * share;
    return [{ ...ship, place, x, y }];
  });
  return { ships, gems: share < 1 ? from.gems : to.gems };
}
