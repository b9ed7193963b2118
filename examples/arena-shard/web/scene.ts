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

/** One picture of the arena. */
export interface Scene {
  readonly ships: readonly SceneShip[];
  readonly gems: readonly Point[];
}

/** What is drawn of a round: of the server's, or of one that is played again here. */
export type RoundView = Pick<ArenaView, "seed" | "ships" | "gems">;

/** The part of a scene that can be seen. @param reach from the middle, across and down */
export function visible(scene: Scene, middle: Point, reach: Point): Scene {
  const isSeen = ({ x, y }: Point): boolean =>
    Math.abs(x - middle.x) < reach.x && Math.abs(y - middle.y) < reach.y;
  return { ships: scene.ships.filter(isSeen), gems: scene.gems.filter(isSeen) };
}

/** The arena as one view has it. */
export function sceneOf({ ships, gems }: RoundView): Scene {
  return {
    ships: ships.flatMap((ship, place) => (ship === null ? [] : [{ ...ship, place }])),
    gems,
  };
}

/** The arena between two views: ships are on their way from one to the other. */
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
