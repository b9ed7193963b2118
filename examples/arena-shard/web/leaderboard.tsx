import { db } from "@pylonsync/react";
import { MODES, TICK_RATE, type Mode } from "../game/rules.ts";

const SHOWN = 8;

export interface LeaderboardProps {
  readonly mode: Mode;
  readonly userId: string;
  readonly onMode: (mode: Mode) => void;
}

/** The best rounds of all pilots, live from the database. */
export function Leaderboard({ mode, userId, onMode }: LeaderboardProps) {
  const { data: scores } = db.useQuery("Score", {
    where: { mode },
    orderBy: { gems: "desc" },
    limit: SHOWN,
  });
  return (
    <section className="panel" aria-label="Leaderboard">
      <h2>Leaderboard</h2>
      <div className="tabs">
        {(["classic", "sprint"] as const).map((one) => (
          <button key={one} aria-pressed={one === mode} onClick={() => onMode(one)}>
            {MODES[one].roundSteps / TICK_RATE} s
          </button>
        ))}
      </div>
      <ol className="ranks">
        {scores.map((score, index) => (
          <li key={score.id} className={score.userId === userId ? "own" : ""}>
            <span className="rank">{index + 1}</span>
            <span className="name">{score.name}</span>
            <b>{score.gems}</b>
          </li>
        ))}
      </ol>
      {scores.length === 0 && <p className="muted">No round has ended yet.</p>}
    </section>
  );
}
