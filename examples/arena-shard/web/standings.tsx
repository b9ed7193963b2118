import { MAX_PLAYERS } from "../game/rules.ts";
import { colorOf } from "./colors.ts";
import type { Hud } from "./use-game.ts";

const SHOWN = 6;

/** The leaders of this round, including bots. */
export function Standings({
  hud: { view, own },
  names,
}: {
  readonly hud: Hud;
  readonly names: ReadonlyMap<string, string>;
}) {
  const ranked = view.ships
    .flatMap((ship, place) => (ship === null ? [] : [{ place, gems: ship.gems }]))
    .toSorted((one, other) => other.gems - one.gems || one.place - other.place);
  const rank = ranked.findIndex(({ place }) => place === own);
  const shown =
    rank < SHOWN ? ranked.slice(0, SHOWN) : [...ranked.slice(0, SHOWN - 1), ranked[rank]];
  const nameOf = (place: number): string =>
    place < MAX_PLAYERS
      ? (names.get(view.pilots[place] ?? "") ?? "…")
      : `Bot ${place - MAX_PLAYERS + 1}`;
  return (
    <section className="panel" aria-label="This round">
      <h2>This round</h2>
      <ol className="ranks">
        {shown.map((entry) =>
          entry === undefined ? null : (
            <li key={entry.place} className={entry.place === own ? "own" : ""}>
              <span className="rank">{ranked.indexOf(entry) + 1}</span>
              <i style={{ background: colorOf(entry.place, own) }} />
              <span className="name">{nameOf(entry.place)}</span>
              <b>{entry.gems}</b>
            </li>
          ),
        )}
      </ol>
    </section>
  );
}
