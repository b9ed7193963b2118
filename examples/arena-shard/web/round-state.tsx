import { MAX_PLAYERS, TICK_RATE } from "../game/rules.ts";
import type { Hud } from "./use-game.ts";

/** The clock of the round, the player's gems, and during the pause the winner. */
export function RoundState({ hud }: { readonly hud: Hud }) {
  const { view, own } = hud;
  const gems = view.ships[own]?.gems ?? 0;
  const seconds = Math.ceil((view.pause > 0 ? view.pause : view.left) / TICK_RATE);
  const rank = view.ships
    .slice(0, MAX_PLAYERS)
    .filter((ship) => ship !== null && ship.gems > gems).length;
  return (
    <header className="round" data-testid="round">
      <span className="clock">
        {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, "0")}
      </span>
      <span className="gems" data-testid={own === -1 ? "watching" : "gems"}>
        {own === -1 ? "watching" : `◆ ${gems}`}
      </span>
      {view.pause > 0 && own !== -1 && (
        <p className="over">
          Round over: {rank === 0 ? "nobody had more gems than you" : `you came in ${rank + 1}.`}
        </p>
      )}
    </header>
  );
}
