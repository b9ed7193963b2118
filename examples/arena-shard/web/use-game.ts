import { db } from "@pylonsync/react";
import { useEffect, useRef, useState, type RefObject } from "react";
import { Controls } from "./controls.ts";
import { FrameTimes } from "./frame-times.ts";
import { GameClient, type Frame, type Problem, type Settings } from "./game-client.ts";
import { Painter } from "./painter.ts";

/** The data for the panels around the canvas, updated a few times per second. */
export interface Hud extends Frame {
  readonly framesPerSecond: number;
}

export interface GameOptions {
  readonly shardId: string;
  readonly userId: string;
  readonly isWatching: boolean;
  readonly settings: Settings;
  /** The names of the players, by user id. */
  readonly names: ReadonlyMap<string, string>;
}

const HUD_EVERY_MS = 150;

/** Runs the game on a canvas. */
export function useGame(
  canvas: RefObject<HTMLCanvasElement | null>,
  options: GameOptions,
): { readonly hud: Hud | null; readonly problem: Problem | null } {
  const { shardId, userId, isWatching } = options;
  const [hud, setHud] = useState<Hud | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  // The loop reads the current options, and does not restart when they change.
  const latest = useRef(options);
  latest.current = options;
  useEffect(() => {
    const element = canvas.current;
    const { token } = db.sync.session;
    if (element === null || token === null) return undefined;
    const controls = new Controls(element);
    const painter = new Painter(element);
    const times = new FrameTimes();
    const client = new GameClient({
      shardId,
      userId,
      role: isWatching ? "spectator" : "player",
      token,
      baseUrl: location.origin,
      settings: () => latest.current.settings,
      move: () => controls.move(),
      takesZap: () => controls.takeZap(),
    });
    client.onProblem(setProblem);
    let toldAt = 0;
    const paint = (nowMs: number): void => {
      request = requestAnimationFrame(paint);
      times.add(nowMs);
      const frame = client.frame(nowMs);
      if (frame === null) return;
      const { names } = latest.current;
      const nameOf = (place: number): string => names.get(frame.view.pilots[place] ?? "") ?? "";
      painter.paint({ ...frame, zaps: frame.view.zaps, nameOf, stick: controls.stick }, nowMs);
      if (nowMs - toldAt < HUD_EVERY_MS) return;
      toldAt = nowMs;
      setHud({ ...frame, framesPerSecond: times.perSecond });
    };
    let request = requestAnimationFrame(paint);
    return () => {
      cancelAnimationFrame(request);
      client.close();
      controls.close();
    };
  }, [canvas, shardId, userId, isWatching]);
  return { hud, problem };
}
