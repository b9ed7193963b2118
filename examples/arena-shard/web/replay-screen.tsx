import { db } from "@pylonsync/react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { ArenaView } from "../game/match.ts";
import { TICK_RATE } from "../game/rules.ts";
import { colorOf } from "./colors.ts";
import { Painter } from "./painter.ts";
import { RoundPlayer } from "./replay-player.ts";
import type { RecordedRound } from "./recorded-round.ts";

const SPEEDS = [1, 2, 4, 8] as const;

export interface ReplayScreenProps {
  readonly recording: RecordedRound;
  readonly onClose: () => void;
}

/** Replays a round. */
export function ReplayScreen({ recording, onClose }: ReplayScreenProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const player = useMemo(() => new RoundPlayer(recording.replay), [recording]);
  const [view, setView] = useState(player.view);
  const userIds = view.pilots.filter((userId) => userId !== null);
  const { data: pilots } = db.useQuery("Pilot", { where: { userId: { $in: userIds } } });
  const names = new Map(pilots.map(({ userId, name }) => [userId, name] as const));
  const nameOf = (place: number): string => names.get(view.pilots[place] ?? "") ?? "";
  const [step, setStep] = useState(0);
  const [speed, setSpeed] = useState<number>(1);
  const [isPaused, setIsPaused] = useState(false);
  const [followed, setFollowed] = useState(-1);
  const latest = useRef({ speed, isPaused, followed, nameOf });
  latest.current = { speed, isPaused, followed, nameOf };
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const painter = new Painter(element);
    let paintedAt = performance.now();
    let shown = -1;
    const paint = (nowMs: number): void => {
      request = requestAnimationFrame(paint);
      const now = latest.current;
      if (!now.isPaused) player.pass((nowMs - paintedAt) * now.speed);
      paintedAt = nowMs;
      const { scene, view } = player;
      const picture = { scene, zaps: view.zaps, server: null, own: now.followed, stick: null };
      painter.paint({ ...picture, nameOf: now.nameOf }, nowMs);
      if (player.step === shown) return;
      shown = player.step;
      setStep(shown);
      setView(view);
    };
    let request = requestAnimationFrame(paint);
    return () => cancelAnimationFrame(request);
  }, [player]);
  const seek = (to: number): void => {
    player.seek(to);
    setStep(to);
  };
  return (
    <main className="screen open">
      <canvas ref={canvas} className="above-player" aria-label="The replay" />
      <aside className="left">
        <Followed view={view} nameOf={nameOf} followed={followed} onFollow={setFollowed} />
      </aside>
      <footer className="player">
        <button onClick={() => setIsPaused(!isPaused)}>{isPaused ? "Play" : "Pause"}</button>
        <input
          type="range"
          aria-label="Position"
          min={0}
          max={player.steps}
          value={step}
          onChange={({ target }) => seek(Number(target.value))}
        />
        <span className="clock">{(step / TICK_RATE).toFixed(1)} s</span>
        <span className="tabs">
          {SPEEDS.map((one) => (
            <button key={one} aria-pressed={one === speed} onClick={() => setSpeed(one)}>
              {one}×
            </button>
          ))}
        </span>
        <Verdict isSame={player.isSame} />
        <a className="button" download="arena.json" href={useDownload(recording.text)}>
          Download
        </a>
        <button className="primary" onClick={onClose}>
          Back to the game
        </button>
      </footer>
    </main>
  );
}

/** The URL of a recording as a file. */
function useDownload(text: string): string {
  const url = useMemo(
    () => URL.createObjectURL(new Blob([text], { type: "application/json" })),
    [text],
  );
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return url;
}

/** Shows whether the computed state equals the server's. */
function Verdict({ isSame }: { readonly isSame: boolean | null }) {
  if (isSame === null) return <span className="verdict muted">playing the moves again</span>;
  return (
    <span className={`verdict ${isSame ? "good" : "error"}`} role="status">
      {isSame ? "✓ the same end as on the server" : "✗ not the end that the server had"}
    </span>
  );
}

interface FollowedProps {
  readonly view: ArenaView;
  readonly nameOf: (place: number) => string;
  readonly followed: number;
  readonly onFollow: (place: number) => void;
}

/** The players, and the ship that the camera follows. */
function Followed({ view, nameOf, followed, onFollow }: FollowedProps) {
  const places = view.pilots.flatMap((userId, place) => (userId === null ? [] : [place]));
  return (
    <section className="panel" aria-label="Pilots">
      <h2>Replay</h2>
      <ul className="rounds">
        <li>
          <button aria-pressed={followed === -1} onClick={() => onFollow(-1)}>
            <span className="name">The whole arena</span>
          </button>
        </li>
        {places.map((place) => (
          <li key={place}>
            <button aria-pressed={followed === place} onClick={() => onFollow(place)}>
              <i style={{ background: colorOf(place, followed) }} />
              <span className="name">{nameOf(place)}</span>
              <b>{view.ships[place]?.gems ?? "–"}</b>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
