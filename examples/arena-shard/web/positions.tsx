import { MAX_PLAYERS } from "../game/rules.ts";
import type { Hud } from "./use-game.ts";

/** The positions of the players, for users who cannot see the canvas, and for tests. */
export function Positions({
  hud: { scene, view },
  names,
}: {
  readonly hud: Hud;
  readonly names: ReadonlyMap<string, string>;
}) {
  const players = scene.ships.filter(({ place }) => place < MAX_PLAYERS);
  return (
    <ul data-testid="positions">
      {players.map(({ place, x, y }) => (
        <li key={place}>
          {names.get(view.pilots[place] ?? "") ?? "Somebody"}: {Math.round(x)}, {Math.round(y)}
        </li>
      ))}
    </ul>
  );
}
