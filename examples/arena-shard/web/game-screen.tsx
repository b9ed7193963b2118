import { db } from "@pylonsync/react";
import { useMemo, useRef, useState } from "react";
import type { Mode } from "../game/rules.ts";
import type { Settings } from "./game-client.ts";
import { Leaderboard } from "./leaderboard.tsx";
import { NetworkPanel } from "./network-panel.tsx";
import { Positions } from "./positions.tsx";
import { RecentRounds } from "./recent-rounds.tsx";
import type { RecordedRound } from "./recorded-round.ts";
import { RoundState } from "./round-state.tsx";
import { Standings } from "./standings.tsx";
import { useGame } from "./use-game.ts";

const FIRST_SETTINGS: Settings = {
  pingMs: 0,
  loss: 0,
  predicts: true,
  interpolates: true,
  showsServer: false,
};

export interface GameScreenProps {
  readonly userId: string;
  readonly mode: Mode;
  /** Whether the user watches the game without a ship. */
  readonly isWatching: boolean;
  readonly onWatch: (isWatching: boolean) => void;
  readonly onMode: (mode: Mode) => void;
  readonly onReplay: (recording: RecordedRound) => void;
  readonly onAgain: () => void;
}

/** The game, with its information and settings around it. */
export function GameScreen(props: GameScreenProps) {
  const { userId, mode, isWatching, onMode, onWatch, onReplay, onAgain } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [isOpen, setIsOpen] = useState(false);
  const [settings, setSettings] = useState(FIRST_SETTINGS);
  const [present, setPresent] = useState<readonly string[]>([userId]);
  const { data: pilots } = db.useQuery("Pilot", { where: { userId: { $in: present } } });
  const names = useMemo(
    () => new Map(pilots.map((pilot) => [pilot.userId, pilot.name] as const)),
    [pilots],
  );
  const shardId = mode === "sprint" ? "arena:sprint" : "arena:main";
  const { hud, problem } = useGame(canvas, { shardId, userId, isWatching, settings, names });
  const seen = hud?.view.pilots.filter((pilot) => pilot !== null) ?? [];
  if (seen.length > 0 && seen.join() !== present.join()) setPresent(seen);
  return (
    <main className={isOpen ? "screen open" : "screen"}>
      <canvas ref={canvas} aria-label="The arena">
        {hud !== null && <Positions hud={hud} names={names} />}
      </canvas>
      {hud !== null && <RoundState hud={hud} />}
      <button className="menu" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
        {isOpen ? "Close" : "Menu"}
      </button>
      <aside className="left">
        {hud !== null && <Standings hud={hud} names={names} />}
        <button onClick={() => onWatch(!isWatching)}>
          {isWatching ? "Fly again" : "Watch without a ship"}
        </button>
        <NetworkPanel settings={settings} onChange={setSettings} hud={hud} />
      </aside>
      <aside className="right">
        <Leaderboard mode={mode} userId={userId} onMode={onMode} />
        <RecentRounds onReplay={onReplay} />
      </aside>
      {hud === null && problem === null && <p className="notice">Connecting…</p>}
      {problem !== null && (
        <p className="notice" role="alert">
          {problem.willReturn ? "Connecting again" : "The game is over"}: {problem.reason}
          {!problem.willReturn && <button onClick={onAgain}>Play again</button>}
        </p>
      )}
    </main>
  );
}
