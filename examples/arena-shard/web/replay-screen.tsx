import { useEffect, useMemo, useRef, useState } from "react";
import type { NamedRecording } from "../game/recording.ts";
import { TICK_RATE } from "../game/rules.ts";
import { colorOf } from "./colors.ts";
import { Painter } from "./painter.ts";
import { ReplayPlayer } from "./replay-player.ts";

const SPEEDS = [1, 2, 4, 8] as const;

export interface ReplayScreenProps {
  readonly recording: NamedRecording;
  readonly onClose: () => void;
}

/** Watches a round again. */
export function ReplayScreen({ recording, onClose }: ReplayScreenProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const player = useMemo(() => new ReplayPlayer(recording), [recording]);
  const [step, setStep] = useState(0);
  const [speed, setSpeed] = useState<number>(1);
  const [isPaused, setIsPaused] = useState(false);
  const [followed, setFollowed] = useState(-1);
  const latest = useRef({ speed, isPaused, followed });
  latest.current = { speed, isPaused, followed };
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const painter = new Painter(element);
    const names = new Map(recording.pilots.map(({ place, name }) => [place, name] as const));
    const nameOf = (place: number): string => names.get(place) ?? "";
    let paintedAt = performance.now();
    const paint = (nowMs: number): void => {
      request = requestAnimationFrame(paint);
      const now = latest.current;
      if (!now.isPaused) player.pass((nowMs - paintedAt) * now.speed);
      paintedAt = nowMs;
      const { scene } = player;
      painter.paint({ scene, server: null, own: now.followed, nameOf, stick: null }, nowMs);
      setStep(player.step);
    };
    let request = requestAnimationFrame(paint);
    return () => cancelAnimationFrame(request);
  }, [player, recording]);
  const seek = (to: number): void => {
    player.seek(to);
    setStep(to);
  };
  return (
    <main className="screen open">
      <canvas ref={canvas} className="above-player" aria-label="The replay" />
      <aside className="left">
        <Followed
          recording={recording}
          gems={player.gems}
          followed={followed}
          onFollow={setFollowed}
        />
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
        <a className="button" download="arena.json" href={useDownload(recording)}>
          Download
        </a>
        <button className="primary" onClick={onClose}>
          Back to the game
        </button>
      </footer>
    </main>
  );
}

/** The address of a recording as a file. */
function useDownload(recording: NamedRecording): string {
  const url = useMemo(() => {
    const file = new Blob([JSON.stringify(recording)], { type: "application/json" });
    return URL.createObjectURL(file);
  }, [recording]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return url;
}

/** Whether what was computed here is what the server had. */
function Verdict({ isSame }: { readonly isSame: boolean | null }) {
  if (isSame === null) return <span className="verdict muted">playing the moves again</span>;
  return (
    <span className={`verdict ${isSame ? "good" : "error"}`} role="status">
      {isSame ? "✓ the same end as on the server" : "✗ not the end that the server had"}
    </span>
  );
}

interface FollowedProps {
  readonly recording: NamedRecording;
  readonly gems: readonly (number | null)[];
  readonly followed: number;
  readonly onFollow: (place: number) => void;
}

/** Who played, and whom the camera follows. */
function Followed({ recording, gems, followed, onFollow }: FollowedProps) {
  return (
    <section className="panel" aria-label="Pilots">
      <h2>Replay</h2>
      <ul className="rounds">
        <li>
          <button aria-pressed={followed === -1} onClick={() => onFollow(-1)}>
            <span className="name">The whole arena</span>
          </button>
        </li>
        {recording.pilots.map(({ place, name }) => (
          <li key={place}>
            <button aria-pressed={followed === place} onClick={() => onFollow(place)}>
              <i style={{ background: colorOf(place, followed) }} />
              <span className="name">{name}</span>
              <b>{gems[place] ?? "–"}</b>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
